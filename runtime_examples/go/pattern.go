package edgernn

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A pattern is a regular expression of a tokenizer.json, as far as edgernn writes them: characters, classes (with
// ranges, \p{L}, \p{M}, \p{N}, \s), groups (?:…), a look ahead (?=…) or (?!…), alternatives and ?, *, +. Go's own
// regexp has no look ahead.
type pattern struct {
	match matcher
}

// A matcher calls then with each end of a match that begins at a place, the preferred one first, until then is true.
type matcher func(s *search, at int, then func(int) bool) bool

type search struct {
	text string
	left int // of places that may still be tried
}

type class func(rune) bool

type patternReader struct {
	text string
	bad  bool
}

const (
	triesPerByte = 2000    // of a text: more is a pattern that takes too long
	mostRepeats  = 1 << 16 // of a group, each a call within the last: memory stays bounded
	plainEscapes = "\\[](){}|?*+.^$-/'\""
)

var classes = map[string]class{
	"p{L}": unicode.IsLetter, "p{M}": unicode.IsMark, "p{N}": unicode.IsNumber, "s": isSpace,
	"P{L}": not(unicode.IsLetter), "P{M}": not(unicode.IsMark), "P{N}": not(unicode.IsNumber), "S": not(isSpace),
	"n": is('\n', '\n'), "r": is('\r', '\r'), "t": is('\t', '\t'),
}

func isSpace(c rune) bool {
	return unicode.Is(unicode.White_Space, c)
}

func not(of class) class {
	return func(c rune) bool { return !of(c) }
}

func is(first, last rune) class {
	return func(c rune) bool { return first <= c && c <= last }
}

func readPattern(text string) (*pattern, error) {
	reader := &patternReader{text: text}
	made := reader.alternatives()
	if reader.bad || reader.text != "" {
		return nil, refuse("tokenizer.json has the pattern %.200s, expected one that edgernn writes; export the bundle again", text)
	}
	return &pattern{made}, nil
}

// find returns the matches in a text that are not empty, as places of their begin and end.
func (p *pattern) find(text string) ([][2]int, error) {
	s := &search{text, triesPerByte * (len(text) + 1)}
	var found [][2]int
	for at := 0; at < len(text); {
		end := -1
		p.match(s, at, func(place int) bool { end = place; return true })
		if s.left <= 0 {
			return nil, refuse("the pattern of tokenizer.json takes too long for the text; give a shorter one")
		}
		if end > at {
			found = append(found, [2]int{at, end})
			at = end
		} else {
			_, width := utf8.DecodeRuneInString(text[at:])
			at += width
		}
	}
	return found, nil
}

func (r *patternReader) take(word string) bool {
	rest, there := strings.CutPrefix(r.text, word)
	r.text = rest
	return there
}

func (r *patternReader) alternatives() matcher {
	one := r.sequence()
	if r.bad || !r.take("|") {
		return one
	}
	other := r.alternatives()
	return func(s *search, at int, then func(int) bool) bool { return one(s, at, then) || other(s, at, then) }
}

func (r *patternReader) sequence() matcher {
	var terms []matcher
	for !r.bad && r.text != "" && r.text[0] != '|' && r.text[0] != ')' {
		terms = append(terms, r.term())
	}
	made := func(s *search, at int, then func(int) bool) bool { return then(at) }
	for last := len(terms) - 1; last >= 0; last-- {
		term, rest := terms[last], made
		made = func(s *search, at int, then func(int) bool) bool {
			return term(s, at, func(end int) bool { return rest(s, end, then) })
		}
	}
	return made
}

func (r *patternReader) term() matcher {
	var made matcher
	var single class
	switch {
	case r.take("(?:"):
		made = r.group()
	case r.take("(?="):
		made = ahead(r.group(), true)
	case r.take("(?!"):
		made = ahead(r.group(), false)
	case r.take("["):
		single = r.brackets()
	case strings.ContainsRune("(){}?*+.^$", rune(r.text[0])):
		r.bad = true
	default:
		single, _ = r.item()
	}
	if single != nil {
		made = one(single)
	}
	switch {
	case r.bad:
	case r.take("?"):
		made = optional(made)
	case r.take("*"):
		made = many(made, single, 0)
	case r.take("+"):
		made = many(made, single, 1)
	}
	r.bad = r.bad || (r.text != "" && strings.ContainsRune("?*+{", rune(r.text[0]))) // no lazy or possessive ones
	return made
}

func (r *patternReader) group() matcher {
	made := r.alternatives()
	r.bad = r.bad || !r.take(")")
	return made
}

// brackets reads a class after its [.
func (r *patternReader) brackets() class {
	inverted := r.take("^")
	var parts []class
	for first := true; first || !r.take("]"); first = false {
		if r.bad || r.text == "" || r.text[0] == '[' || strings.HasPrefix(r.text, "&&") {
			r.bad = true
			return nil
		}
		part, low := r.item()
		if low >= 0 && len(r.text) > 1 && r.text[0] == '-' && r.text[1] != ']' {
			r.take("-")
			_, high := r.item()
			r.bad = r.bad || high < low
			part = is(low, high)
		}
		parts = append(parts, part)
	}
	return func(c rune) bool {
		for _, part := range parts {
			if part(c) {
				return !inverted
			}
		}
		return inverted
	}
}

// item reads an escape or a character, which it returns too; -1 stands for a class.
func (r *patternReader) item() (class, rune) {
	if r.take("\\") {
		for name, known := range classes {
			if r.take(name) {
				return known, -1
			}
		}
		r.bad = r.bad || r.text == "" || !strings.ContainsRune(plainEscapes, rune(r.text[0]))
	}
	c, width := utf8.DecodeRuneInString(r.text)
	r.bad = r.bad || r.text == ""
	r.text = r.text[width:]
	return is(c, c), c
}

// one matches a character of a class.
func one(of class) matcher {
	return func(s *search, at int, then func(int) bool) bool {
		c, width := utf8.DecodeRuneInString(s.text[at:])
		s.left--
		return width > 0 && s.left > 0 && of(c) && then(at+width)
	}
}

func optional(of matcher) matcher {
	return func(s *search, at int, then func(int) bool) bool { return of(s, at, then) || then(at) }
}

// many matches as often as it can, least times at least, going back where what follows fails.
func many(of matcher, single class, least int) matcher {
	if single != nil {
		return manyOf(single, least)
	}
	var more func(s *search, at, count int, then func(int) bool) bool
	more = func(s *search, at, count int, then func(int) bool) bool {
		if count > mostRepeats {
			s.left = 0
		}
		if s.left <= 0 {
			return false
		}
		further := func(end int) bool { return end > at && more(s, end, count+1, then) }
		return of(s, at, further) || (count >= least && then(at))
	}
	return func(s *search, at int, then func(int) bool) bool { return more(s, at, 0, then) }
}

// manyOf is many of a class of characters, without a call for each.
func manyOf(single class, least int) matcher {
	return func(s *search, at int, then func(int) bool) bool {
		end, count := at, 0
		for end < len(s.text) {
			c, width := utf8.DecodeRuneInString(s.text[end:])
			s.left--
			if !single(c) {
				break
			}
			end, count = end+width, count+1
		}
		for ; count >= least && s.left > 0; count-- {
			if then(end) {
				return true
			}
			if count == 0 {
				break
			}
			_, width := utf8.DecodeLastRuneInString(s.text[at:end])
			end -= width
			s.left--
		}
		return false
	}
}

// ahead matches nothing where its inner part matches, or where it does not.
func ahead(inner matcher, wanted bool) matcher {
	return func(s *search, at int, then func(int) bool) bool {
		return inner(s, at, func(int) bool { return true }) == wanted && then(at)
	}
}
