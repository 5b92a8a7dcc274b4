package edgernn

import "unicode/utf8"

// TextStream makes a text of tokens one by one, in pieces of whole characters, which may span several tokens. Each
// piece of a character that stays one becomes U+FFFD, as in the tokenizers library.
type TextStream struct {
	tokenizer *Tokenizer
	begun     bool
	held      []byte // of a character that is not whole yet
}

// NewTextStream begins a text.
func NewTextStream(tokenizer *Tokenizer) *TextStream {
	return &TextStream{tokenizer: tokenizer}
}

// Push returns what a token completes of the text.
func (s *TextStream) Push(id int64) (string, error) {
	if id < 0 || id >= int64(len(s.tokenizer.bytes)) {
		return "", refuse("the token %d is outside the vocabulary, expected 0 to %d", id, len(s.tokenizer.bytes)-1)
	}
	bytes := s.tokenizer.bytes[id]
	apart := (s.tokenizer.kind == "spaced" || s.tokenizer.kind == "caption") && string(bytes) != "\n"
	text := ""
	if apart && s.begun {
		text = " "
	}
	s.begun = apart
	for _, each := range bytes {
		text += s.add(each)
	}
	return text, nil
}

// Flush returns what is left at the end.
func (s *TextStream) Flush() string {
	if len(s.held) == 0 {
		return ""
	}
	s.held = nil
	return string(utf8.RuneError)
}

func (s *TextStream) add(value byte) (text string) {
	if len(s.held) > 0 && !s.follows(value) {
		text = s.Flush()
	}
	s.held = append(s.held, value)
	if utf8.FullRune(s.held) {
		if c, _ := utf8.DecodeRune(s.held); c == utf8.RuneError && len(s.held) < 3 {
			return text + s.Flush()
		}
		text += string(s.held)
		s.held = nil
	}
	return text
}

// follows tells whether a byte may follow what is held.
func (s *TextStream) follows(value byte) bool {
	whole := append(append([]byte{}, s.held...), value)
	if !utf8.FullRune(whole) {
		return true
	}
	_, width := utf8.DecodeRune(whole)
	return width == len(whole)
}
