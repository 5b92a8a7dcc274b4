// Package edgernn runs a bundle of edgernn whose step in C is compiled in: [Load], [Model.Begin], [Model.Step],
// [Sample] and [Model.Generate].
//
// No tensor's name or shape stands in this code: all of that is read from the bundle's manifest.json. Bad input is a
// [BundleError], one line that says what was wrong, the value seen, what was expected and what to do.
package edgernn

import (
	"fmt"
	"strings"
	"unicode"
)

// BundleError says what is wrong with what was given.
type BundleError string

func (e BundleError) Error() string {
	return string(e)
}

// refuse makes a BundleError; control characters become spaces, so that it stays on one line.
func refuse(format string, values ...any) error {
	plain := func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}
	return BundleError(strings.Map(plain, fmt.Sprintf(format, values...)))
}
