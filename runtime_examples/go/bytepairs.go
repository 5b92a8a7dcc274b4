package edgernn

import (
	"encoding/json/jsontext"
	"slices"
	"strings"
)

type bytePairs struct {
	ofByte [256]int64
	merges map[[2]int64]merge
}

// merge is what becomes of a pair of tokens, and in which order.
type merge struct {
	rank int
	into int64
}

// characterOf returns the character by which a vocabulary spells a byte. This is GPT-2's table: a printable byte of
// Latin-1 is itself, the n-th other one is the character 256 + n.
func characterOf(value byte) rune {
	printable := func(b byte) bool { return 0x21 <= b && b <= 0x7e || 0xa1 <= b && b <= 0xac || b >= 0xae }
	if printable(value) {
		return rune(value)
	}
	others := rune(256)
	for before := byte(0); before < value; before++ {
		if !printable(before) {
			others++
		}
	}
	return others
}

var byteOf = func() map[rune]byte {
	made := map[rune]byte{}
	for value := range 256 {
		made[characterOf(byte(value))] = byte(value)
	}
	return made
}()

// spelledBytes returns the bytes that a token spells; a token that does not spell bytes is its own.
func spelledBytes(token string) []byte {
	var made []byte
	for _, c := range token {
		value, there := byteOf[c]
		if !there {
			return []byte(token)
		}
		made = append(made, value)
	}
	return made
}

func newBytePairs(ids map[string]int64, merges []jsontext.Value) (*bytePairs, error) {
	made := &bytePairs{merges: map[[2]int64]merge{}}
	for value := range 256 {
		id, there := ids[string(characterOf(byte(value)))]
		if !there {
			return nil, refuse("tokenizer.json has no token for every byte, expected all 256; export the bundle again")
		}
		made.ofByte[value] = id
	}
	for rank, raw := range merges {
		var two []string
		if raw.Kind() == '"' { // parted by a space, or each by itself
			var line string
			if err := readJSON(raw, &line, "tokenizer.json"); err != nil {
				return nil, err
			}
			two = strings.SplitN(line, " ", 2)
		} else if err := readJSON(raw, &two, "tokenizer.json"); err != nil {
			return nil, err
		}
		if len(two) != 2 {
			return nil, refuse("tokenizer.json has a merge of %d tokens, expected two; export the bundle again", len(two))
		}
		left, one := ids[two[0]]
		right, other := ids[two[1]]
		both, joined := ids[two[0]+two[1]]
		if !one || !other || !joined {
			return nil, refuse("tokenizer.json merges %q, expected two tokens that make a token; export the bundle again", two)
		}
		made.merges[[2]int64{left, right}] = merge{rank, both}
	}
	return made, nil
}

// encode merges all pairs of the lowest rank, from left to right, until there is none left (Sennrich et al. 2016).
func (b *bytePairs) encode(piece string) []int64 {
	found := make([]int64, len(piece))
	for at := range found {
		found[at] = b.ofByte[piece[at]]
	}
	for {
		best, lowest := -1, merge{}
		for at := 0; at+1 < len(found); at++ {
			own, there := b.merges[[2]int64{found[at], found[at+1]}]
			if there && (best < 0 || own.rank < lowest.rank) {
				best, lowest = at, own
			}
		}
		if best < 0 {
			return found
		}
		left, right := found[best], found[best+1]
		for at := best; at+1 < len(found); at++ {
			if found[at] == left && found[at+1] == right {
				found = slices.Replace(found, at, at+2, lowest.into)
			}
		}
	}
}
