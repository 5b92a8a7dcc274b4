/* See onnx_guard.h. The numbers are those of onnx.proto. */
#include "onnx_guard.h"

#include <stdint.h>
#include <string.h>

enum { MOST_DEPTH = 100 }; /* of messages, as in the protocol-buffer library */
enum message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR };

static const struct inner {
    enum message of;
    uint64_t number;
    enum message in;
} INNER[] = {
    {MODEL, 7, GRAPH},    {GRAPH, 1, NODE},      {GRAPH, 5, TENSOR},      {NODE, 5, ATTRIBUTE},
    {ATTRIBUTE, 5, TENSOR}, {ATTRIBUTE, 6, GRAPH}, {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH},
};

static const struct refused {
    enum message of;
    uint64_t number;
    const char *what;
} REFUSED[] = {
    {MODEL, 20, "brings graphs for training; expected a graph to run"},
    {MODEL, 25, "brings functions of its own; expected ONNX's operators alone"},
    {GRAPH, 15, "has a sparse constant; expected none"},
    {ATTRIBUTE, 22, "has a sparse constant; expected none"},
    {ATTRIBUTE, 23, "has a sparse constant; expected none"},
};

struct span {
    const unsigned char *at, *end;
};

/* A field: its number, and its value or, of a text, message or packed list, its bytes. */
struct field {
    uint64_t number, value;
    bool has_bytes;
    struct span bytes;
};

static bool read_number(struct span *span, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 70 && span->at < span->end; shift += 7) {
        *value |= (uint64_t)(*span->at & 127) << shift;
        if (*span->at++ < 128) {
            return true;
        }
    }
    return false;
}

static bool read_field(struct span *span, struct field *field) {
    uint64_t key = 0, length = 0;
    *field = (struct field){0};
    if (!read_number(span, &key) ||
        key >> 32 != 0) { /* a longer one the runtime would read as another field */
        return false;
    }
    field->number = key >> 3;
    switch (key & 7) {
    case 0:
        return read_number(span, &field->value);
    case 1:
        length = 8;
        break;
    case 2:
        field->has_bytes = read_number(span, &length);
        if (!field->has_bytes) {
            return false;
        }
        break;
    case 5:
        length = 4;
        break;
    default:
        return false;
    }
    if (length > (uint64_t)(span->end - span->at)) {
        return false;
    }
    field->bytes = (struct span){span->at, span->at + length};
    span->at += length;
    return true;
}

static bool is(struct span text, const char *word) {
    size_t length = strlen(word);
    return (size_t)(text.end - text.at) == length && (length == 0 || memcmp(text.at, word, length) == 0);
}

/* How much of a text a message shows. */
static int shown(struct span text) {
    return text.end - text.at < 100 ? (int)(text.end - text.at) : 100;
}

static const char *start(struct span text) {
    return text.at != NULL ? (const char *)text.at : "";
}

static bool check_node(struct span operator, struct span domain, const char *path,
                       struct bundle_error *error) {
    bool own = is(domain, "") || is(domain, "ai.onnx");
    bool known =
        is(domain, "com.microsoft") && (is(operator, "MatMulNBits") || is(operator, "GatherBlockQuantized"));
    return own || known ||
           fail(error, "%s uses the operator %.*s of the domain %.*s; expected ONNX's own, or MatMulNBits or "
                         "GatherBlockQuantized of com.microsoft; do not use this bundle",
                path, shown(operator), start(operator), shown(domain), start(domain));
}

static bool walk(enum message of, struct span message, const char *path, int depth,
                 struct bundle_error *error) {
    struct span texts[9] = {{NULL, NULL}}; /* by number: an operator's type and domain, a tensor's name */
    struct field field;
    bool external = false;
    for (struct span rest = message; rest.at < rest.end;) {
        if (depth > MOST_DEPTH || !read_field(&rest, &field)) {
            return fail(error, "%s is no ONNX model; expected one; export the bundle again", path);
        }
        if (field.has_bytes && field.number < sizeof texts / sizeof *texts) {
            texts[field.number] = field.bytes;
        }
        external =
            external || field.number == 13 || (field.number == 14 && (field.has_bytes || field.value != 0));
        for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
            if (REFUSED[i].of == of && REFUSED[i].number == field.number) {
                return fail(error, "%s %s; do not use this bundle", path, REFUSED[i].what);
            }
        }
        for (size_t i = 0; field.has_bytes && i < sizeof INNER / sizeof *INNER; i++) {
            if (INNER[i].of == of && INNER[i].number == field.number &&
                !walk(INNER[i].in, field.bytes, path, depth + 1, error)) {
                return false;
            }
        }
    }
    if (of == TENSOR && external) {
        return fail(error,
                    "%s keeps the constant %.*s in another file; expected all of it in this one; do not use "
                    "this bundle",
                    path, shown(texts[8]), start(texts[8]));
    }
    return of != NODE || check_node(texts[4], texts[7], path, error);
}

bool refuse_foreign(const char *model, size_t length, const char *path, struct bundle_error *error) {
    if (length >= 8 &&
        memcmp(model + 4, "ORTM", 4) == 0) { /* the runtime would read it as a format of its own */
        return fail(error, "%s is no ONNX model; expected one; export the bundle again", path);
    }
    const unsigned char *bytes = (const unsigned char *)model;
    return walk(MODEL, (struct span){bytes, bytes + length}, path, 0, error);
}
