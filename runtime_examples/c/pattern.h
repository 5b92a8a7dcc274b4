/* The regular expressions of a tokenizer.json, as far as edgernn writes them: characters, classes ([…] with
 * ranges, \p{L}, \p{M},
 * \p{N}, \s), groups (?:…), a look ahead (?=…) or (?!…), alternatives and ?, *, +. Everything else is
 * refused. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bundle_error.h"

enum { MOST_ITEMS = 256, MOST_SETS = 64, MOST_MOVES = 256 };

enum item_kind { ITEM_RANGE, ITEM_LETTER, ITEM_MARK, ITEM_NUMBER, ITEM_SPACE };

/* A part of a class: the code points of `first` to `last`, or of a class of Unicode. */
struct item {
    enum item_kind kind;
    bool inverted;
    uint32_t first, last;
};

struct set {
    size_t item, count;
    bool inverted;
};

enum move_kind { MOVE_TAKE, MOVE_SPLIT, MOVE_JUMP, MOVE_AHEAD, MOVE_NOT_AHEAD, MOVE_DONE };

/* TAKE a character of set `a`. SPLIT: go `a` on, else `b`. JUMP `a` on. AHEAD: what follows up to DONE, then
 * go `a` on. */
struct move {
    enum move_kind kind;
    int a, b;
};

struct pattern {
    struct item items[MOST_ITEMS];
    struct set sets[MOST_SETS];
    struct move moves[MOST_MOVES];
    size_t item_count, set_count, move_count;
};

/* A text in which a pattern is looked for. Set `pattern` and `end`, and what it may cost; free `places` at
 * the end. */
struct search {
    const struct pattern *pattern;
    const unsigned char *end;
    size_t left; /* moves that may still be made; 0 says that the pattern takes too long */
    struct place *places;
    size_t used, room;
};

bool pattern_read(struct pattern *pattern, const char *text, size_t length, struct bundle_error *error);

/* Return the end of the match that begins at `at`, or NULL where there is none. The text is UTF-8. */
const unsigned char *pattern_match(struct search *search, const unsigned char *at);

/* Whether NFKC and lower case change a character, or may join it to the one before. */
bool pattern_is_changed(uint32_t code);

/* Return the code point of a UTF-8 character that ends at `next`. */
uint32_t pattern_code(const unsigned char *at, const unsigned char *next);

#endif
