package edgernn

import (
	"encoding/json/jsontext"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

const tokenizerFile = "tokenizer.json"

// Tokenizer makes ids of text and text of ids, for every kind of tokens that edgernn writes: char, byte, word, bpe,
// spaced and caption.
type Tokenizer struct {
	kind    string
	ids     map[string]int64
	bytes   [][]byte // what each token is in a text
	unknown int64    // the id of an unknown word, or -1
	pairs   *bytePairs
	pattern *pattern
}

type preTokenizer struct {
	Pattern struct {
		Regex string `json:"Regex"`
	} `json:"pattern"`
	Pretokenizers []preTokenizer `json:"pretokenizers"`
}

type tokenizerJSON struct {
	Model struct {
		Vocab   map[string]int64 `json:"vocab"`
		Merges  []jsontext.Value `json:"merges"`
		Unknown *string          `json:"unk_token"`
	} `json:"model"`
	PreTokenizer preTokenizer `json:"pre_tokenizer"`
}

// NewTokenizer returns that of a bundle; it refuses one that does not encode the manifest's text as it says.
func NewTokenizer(bundle *Bundle) (*Tokenizer, error) {
	entry := bundle.Manifest.Tokenizer
	if entry == nil {
		return nil, refuse("the bundle has no tokenizer, so it writes no text; replay its recorded run with --check")
	}
	if !slices.Contains([]string{"char", "byte", "word", "bpe", "spaced", "caption"}, entry.Kind) {
		return nil, refuse("the tokenizer is of the kind %s, expected char, byte, word, bpe, spaced or caption; "+
			"use a library of the Hugging Face tokenizers format", entry.Kind)
	}
	content, err := bundle.file(entry.Path)
	if err != nil {
		return nil, err
	}
	var file tokenizerJSON
	if err := readJSON(content, &file, tokenizerFile); err != nil {
		return nil, err
	}
	made := &Tokenizer{kind: entry.Kind, ids: file.Model.Vocab, unknown: -1}
	if err := made.readTokens(bundle.Manifest.Contract.Vocabulary()); err != nil {
		return nil, err
	}
	if err := made.readWords(file); err != nil {
		return nil, err
	}
	found, err := made.encode(entry.Text, true)
	if err == nil && !slices.Equal(found, entry.IDs) {
		err = refuse("%s does not encode the manifest's text to the manifest's ids; export the bundle again", tokenizerFile)
	}
	return made, err
}

// readTokens keeps what each id is in a text; the ids are 0, 1, … below the size of the vocabulary.
func (t *Tokenizer) readTokens(size int) error {
	t.bytes = make([][]byte, size)
	for token, id := range t.ids {
		if id < 0 || id >= int64(size) || t.bytes[id] != nil || len(t.ids) != size {
			return refuse("%s has %d tokens, one with the id %d, and manifest.json has ids below %d; export the bundle again",
				tokenizerFile, len(t.ids), id, size)
		}
		t.bytes[id] = append([]byte{}, token...)
		if t.kind == "byte" || t.kind == "bpe" {
			t.bytes[id] = append([]byte{}, spelledBytes(token)...)
		}
	}
	if len(t.ids) != size {
		return refuse("%s has no tokens, and manifest.json has %d; export the bundle again", tokenizerFile, size)
	}
	return nil
}

func (t *Tokenizer) readWords(file tokenizerJSON) (err error) {
	if t.kind == "byte" {
		t.pairs, err = newBytePairs(t.ids, nil)
	} else if t.kind == "bpe" {
		t.pairs, err = newBytePairs(t.ids, file.Model.Merges)
	}
	if err != nil || t.kind == "char" || t.kind == "byte" {
		return err
	}
	own := file.PreTokenizer
	if t.kind == "bpe" && len(own.Pretokenizers) > 0 {
		own = own.Pretokenizers[0]
	}
	if own.Pattern.Regex == "" {
		return refuse("%s has no pattern that cuts a text into words; export the bundle again", tokenizerFile)
	}
	if id, there := t.ids[unknownOf(file)]; there && t.kind != "bpe" {
		t.unknown = id
	}
	t.pattern, err = readPattern(own.Pattern.Regex)
	return err
}

func unknownOf(file tokenizerJSON) string {
	if file.Model.Unknown == nil {
		return "\x00" // no token
	}
	return *file.Model.Unknown
}

// Encode returns the ids of a text; it refuses the first character that the model does not know. An unknown word is
// its id for that.
func (t *Tokenizer) Encode(text string) ([]int64, error) {
	if !utf8.ValidString(text) {
		return nil, refuse("the text is not UTF-8; give one that is")
	}
	return t.encode(text, false)
}

// Decode returns the text of ids.
func (t *Tokenizer) Decode(ids []int64) (string, error) {
	stream, made := NewTextStream(t), ""
	for _, id := range ids {
		piece, err := stream.Push(id)
		if err != nil {
			return "", err
		}
		made += piece
	}
	return made + stream.Flush(), nil
}

func (t *Tokenizer) encode(text string, skip bool) (ids []int64, err error) {
	var pieces []string
	switch t.kind {
	case "byte":
		return t.pairs.encode(text), nil
	case "char":
		pieces = strings.Split(text, "")
	case "caption":
		if text, err = lowered(text); err == nil {
			pieces, err = t.cut(text, false)
		}
	default:
		pieces, err = t.cut(text, t.kind != "spaced")
	}
	if err != nil {
		return nil, err
	}
	for _, piece := range pieces {
		if t.kind == "bpe" {
			ids = append(ids, t.pairs.encode(piece)...)
			continue
		}
		id, known := t.ids[piece]
		switch {
		case known && id != t.unknown:
			ids = append(ids, id)
		case skip:
		case t.unknown >= 0:
			ids = append(ids, t.unknown)
		default:
			return nil, refuse("the prompt has %q, which is not among the %d tokens of the model; leave it out", piece, len(t.ids))
		}
	}
	return ids, nil
}

// cut returns the matches of the pattern, and what lies between them where that counts.
func (t *Tokenizer) cut(text string, between bool) ([]string, error) {
	found, err := t.pattern.find(text)
	var pieces []string
	at := 0
	for _, place := range append(found, [2]int{len(text), len(text)}) {
		if between && place[0] > at {
			pieces = append(pieces, text[at:place[0]])
		}
		if place[1] > place[0] {
			pieces = append(pieces, text[place[0]:place[1]])
		}
		at = place[1]
	}
	return pieces, err
}

// lowered makes a caption's text lower case, as far as ASCII goes; it refuses what NFKC and lower case would change
// beyond that, as Go's own library has no normal forms.
func lowered(text string) (string, error) {
	for _, c := range text {
		at := sort.Search(len(changed), func(at int) bool { return changed[at][1] >= c })
		if (c < 'A' || c > 'Z') && at < len(changed) && changed[at][0] <= c {
			return "", refuse("the text has %q, which a caption has in another form, expected lower case in the normal form NFKC; "+
				"write it so", c)
		}
	}
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, text), nil
}
