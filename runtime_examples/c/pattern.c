/* See pattern.h. A pattern becomes moves, which are tried in order, going back where one fails. */
#include "pattern.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "unicode.h"

enum { DEEPEST_GROUP = 16 };

struct place {
    size_t move;
    const unsigned char *at;
};

struct source {
    struct pattern *pattern;
    const unsigned char *at, *end;
    int depth;
};

static bool read_alternatives(struct source *source);

uint32_t pattern_code(const unsigned char *at, const unsigned char *next) {
    size_t length = (size_t)(next - at);
    uint32_t code = length == 1 ? *at : *at & (0x7fu >> length);
    while (++at < next) {
        code = code << 6 | (*at & 0x3fu);
    }
    return code;
}

static bool take(struct source *source, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(source->end - source->at) < length || memcmp(source->at, word, length) != 0) {
        return false;
    }
    source->at += length;
    return true;
}

/* Put a move before those from `at` on; offsets are relative, so that what moves as a whole stays right. */
static bool insert(struct pattern *pattern, size_t at, enum move_kind kind, int a, int b) {
    if (pattern->move_count == MOST_MOVES) {
        return false;
    }
    memmove(&pattern->moves[at + 1], &pattern->moves[at],
            (pattern->move_count++ - at) * sizeof *pattern->moves);
    pattern->moves[at] = (struct move){kind, a, b};
    return true;
}

static bool add(struct pattern *pattern, enum move_kind kind, int a, int b) {
    return insert(pattern, pattern->move_count, kind, a, b);
}

static bool read_character(struct source *source, uint32_t *code) {
    const unsigned char *next = json_next_character(source->at, source->end);
    if (next == NULL) {
        return false;
    }
    *code = pattern_code(source->at, next);
    source->at = next;
    return true;
}

/* Read what follows a backslash. */
static bool read_escape(struct source *source, struct item *item) {
    static const struct {
        const char *name;
        enum item_kind kind;
        bool inverted;
        uint32_t code;
    } KNOWN[] = {
        {"p{L}", ITEM_LETTER, false, 0}, {"p{M}", ITEM_MARK, false, 0}, {"p{N}", ITEM_NUMBER, false, 0},
        {"P{L}", ITEM_LETTER, true, 0},  {"P{M}", ITEM_MARK, true, 0},  {"P{N}", ITEM_NUMBER, true, 0},
        {"s", ITEM_SPACE, false, 0},     {"S", ITEM_SPACE, true, 0},    {"n", ITEM_RANGE, false, '\n'},
        {"r", ITEM_RANGE, false, '\r'},  {"t", ITEM_RANGE, false, '\t'},
    };
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        if (take(source, KNOWN[i].name)) {
            *item = (struct item){KNOWN[i].kind, KNOWN[i].inverted, KNOWN[i].code, KNOWN[i].code};
            return true;
        }
    }
    uint32_t code = 0;
    bool plain = source->at < source->end && strchr("\\[](){}|?*+.^$-/'\"", *source->at) != NULL &&
                 *source->at != '\0';
    *item = (struct item){.kind = ITEM_RANGE};
    if (plain && read_character(source, &code)) {
        item->first = item->last = code;
    }
    return plain;
}

/* Read a part of a class: an escape, a character, or two characters with a - between. */
static bool read_item(struct source *source, struct item *item, bool brackets) {
    if (take(source, "\\")) {
        if (!read_escape(source, item)) {
            return false;
        }
    } else {
        *item = (struct item){.kind = ITEM_RANGE};
        if (take(source, "[") || take(source, "&&") || !read_character(source, &item->first)) {
            return false;
        }
        item->last = item->first;
    }
    bool range = brackets && source->end - source->at > 1 && source->at[0] == '-' && source->at[1] != ']';
    struct item high;
    if (range && item->kind == ITEM_RANGE && take(source, "-")) {
        if (take(source, "\\") ? !read_escape(source, &high) : !read_character(source, &high.last)) {
            return false;
        }
        item->last = high.last;
        return item->first <= item->last;
    }
    return true;
}

/* Read a class after its [, a single character or an escape, and take a character of it. */
static bool read_set(struct source *source, bool brackets) {
    struct pattern *pattern = source->pattern;
    if (pattern->set_count == MOST_SETS) {
        return false;
    }
    struct set *set = &pattern->sets[pattern->set_count++];
    *set = (struct set){pattern->item_count, 0, brackets && take(source, "^")};
    do {
        if (pattern->item_count == MOST_ITEMS ||
            !read_item(source, &pattern->items[pattern->item_count], brackets)) {
            return false;
        }
        pattern->item_count++;
        set->count++;
    } while (brackets && !take(source, "]"));
    return add(pattern, MOVE_TAKE, (int)pattern->set_count - 1, 0);
}

static bool read_group(struct source *source, enum move_kind kind) {
    struct pattern *pattern = source->pattern;
    size_t start = pattern->move_count;
    bool ahead = kind != MOVE_DONE;
    bool read = source->depth++ < DEEPEST_GROUP && (!ahead || add(pattern, kind, 0, 0)) &&
                read_alternatives(source) && take(source, ")") && (!ahead || add(pattern, MOVE_DONE, 0, 0));
    source->depth--;
    if (read && ahead) {
        pattern->moves[start].a = (int)(pattern->move_count - start);
    }
    return read;
}

static bool read_term(struct source *source) {
    struct pattern *pattern = source->pattern;
    size_t start = pattern->move_count;
    bool read = take(source, "(?:")   ? read_group(source, MOVE_DONE)
                : take(source, "(?=") ? read_group(source, MOVE_AHEAD)
                : take(source, "(?!") ? read_group(source, MOVE_NOT_AHEAD)
                : take(source, "[")   ? read_set(source, true)
                                      : strchr("(){}?*+.^$", *source->at) == NULL && read_set(source, false);
    int length = (int)(pattern->move_count - start);
    if (read && take(source, "?")) {
        read = insert(pattern, start, MOVE_SPLIT, 1, length + 1);
    } else if (read && take(source, "*")) {
        read = insert(pattern, start, MOVE_SPLIT, 1, length + 2) && add(pattern, MOVE_JUMP, -length - 1, 0);
    } else if (read && take(source, "+")) {
        read = add(pattern, MOVE_SPLIT, -length, 1);
    }
    return read && (source->at == source->end ||
                    strchr("?*+{", *source->at) == NULL); /* no lazy or possessive ones */
}

static bool read_alternatives(struct source *source) {
    struct pattern *pattern = source->pattern;
    size_t start = pattern->move_count;
    while (source->at < source->end && *source->at != '|' && *source->at != ')') {
        if (!read_term(source)) {
            return false;
        }
    }
    if (!take(source, "|")) {
        return true;
    }
    if (!insert(pattern, start, MOVE_SPLIT, 1, (int)(pattern->move_count - start) + 2) ||
        !add(pattern, MOVE_JUMP, 0, 0)) {
        return false;
    }
    size_t jump = pattern->move_count - 1;
    bool read = source->depth++ < MOST_MOVES && read_alternatives(source);
    source->depth--;
    pattern->moves[jump].a = (int)(pattern->move_count - jump);
    return read;
}

bool pattern_read(struct pattern *pattern, const char *text, size_t length, struct bundle_error *error) {
    struct source source = {pattern, (const unsigned char *)text, (const unsigned char *)text + length, 0};
    memset(pattern, 0, sizeof *pattern);
    bool read = memchr(text, '\0', length) == NULL && read_alternatives(&source) && source.at == source.end &&
                add(pattern, MOVE_DONE, 0, 0);
    return read ||
           fail(error,
                "tokenizer.json has the pattern %.200s; expected one that edgernn writes; use the tokenizers "
                "library for others",
                text);
}

static bool in_table(const struct code_range *table, size_t count, uint32_t code) {
    size_t low = 0;
    while (count > low) { /* the first range that ends at the code or after it */
        size_t middle = low + (count - low) / 2;
        if (table[middle].last < code) {
            low = middle + 1;
        } else if (table[middle].first > code) {
            count = middle;
        } else {
            return true;
        }
    }
    return false;
}

#define IN(TABLE, CODE) in_table(TABLE, sizeof TABLE / sizeof *TABLE, CODE)

bool pattern_is_changed(uint32_t code) {
    return IN(CHANGED, code);
}

static bool in_item(const struct item *item, uint32_t code) {
    switch (item->kind) {
    case ITEM_LETTER:
        return IN(LETTERS, code) != item->inverted;
    case ITEM_MARK:
        return IN(MARKS, code) != item->inverted;
    case ITEM_NUMBER:
        return IN(NUMBERS, code) != item->inverted;
    case ITEM_SPACE:
        return IN(SPACES, code) != item->inverted;
    default:
        return (code >= item->first && code <= item->last) != item->inverted;
    }
}

static bool in_set(const struct pattern *pattern, const struct set *set, uint32_t code) {
    bool found = false;
    for (size_t i = 0; i < set->count && !found; i++) {
        found = in_item(&pattern->items[set->item + i], code);
    }
    return found != set->inverted;
}

static bool push(struct search *search, size_t move, const unsigned char *at) {
    if (search->used == search->room) {
        size_t room = search->room * 2 + 64;
        struct place *larger = realloc(search->places, room * sizeof *larger);
        if (larger == NULL) {
            search->left = 0;
            return false;
        }
        search->places = larger;
        search->room = room;
    }
    search->places[search->used++] = (struct place){move, at};
    return true;
}

static const unsigned char *run(struct search *search, size_t start, const unsigned char *at) {
    size_t base = search->used;
    const unsigned char *found = NULL;
    push(search, start, at);
    while (search->used > base && search->left > 0 && found == NULL) {
        struct place place = search->places[--search->used];
        const struct move *move = &search->pattern->moves[place.move];
        const unsigned char *next = json_next_character(place.at, search->end);
        search->left--;
        if (move->kind == MOVE_DONE) {
            found = place.at;
        } else if (move->kind == MOVE_TAKE) {
            const struct set *set = &search->pattern->sets[move->a];
            if (next != NULL && in_set(search->pattern, set, pattern_code(place.at, next))) {
                push(search, place.move + 1, next);
            }
        } else if (move->kind == MOVE_SPLIT) {
            push(search, (size_t)((int)place.move + move->b), place.at);
            push(search, (size_t)((int)place.move + move->a), place.at);
        } else if (move->kind == MOVE_JUMP ||
                   (run(search, place.move + 1, place.at) != NULL) == (move->kind == MOVE_AHEAD)) {
            push(search, (size_t)((int)place.move + move->a), place.at);
        }
    }
    search->used = base;
    return search->left > 0 ? found : NULL;
}

const unsigned char *pattern_match(struct search *search, const unsigned char *at) {
    search->used = 0;
    return run(search, 0, at);
}
