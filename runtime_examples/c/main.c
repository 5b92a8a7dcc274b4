/* Write text from a bundle folder, replay its golden run, time its steps: ./edgernn BUNDLE, see USAGE. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sampler.h"

static const char USAGE[] =
    "edgernn BUNDLE [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--top-p P] [--seed S] [--json]\n"
    "edgernn BUNDLE --check\n"
    "edgernn BUNDLE --time N\n"
    "each with [--artifact PATH] [--library ONNXRUNTIME]\n";

static const double MOST = 2147483647; /* fits every type that a number goes to */

enum { OK = 0, CHECK_FAILED = 1, BAD_INPUT = 2 };

struct given {
    const char *bundle, *prompt, *artifact, *library;
    const char *length, *temperature, *top_k, *top_p, *seed, *time; /* as written; NULL: not given */
    bool check, json, help;
};

static bool parse(int count, char **values, struct given *given, struct failure *failure) {
    const struct {
        const char *name;
        const char **text;
        bool *flag;
    } known[] = {
        {"--prompt", &given->prompt, NULL},   {"--artifact", &given->artifact, NULL}, {"--library", &given->library, NULL},
        {"--length", &given->length, NULL},   {"--temperature", &given->temperature, NULL}, {"--top-k", &given->top_k, NULL},
        {"--top-p", &given->top_p, NULL},     {"--seed", &given->seed, NULL},         {"--time", &given->time, NULL},
        {"--check", NULL, &given->check},     {"--json", NULL, &given->json},         {"--help", NULL, &given->help},
    };
    for (int i = 1; i < count; i++) {
        size_t place = 0, all = sizeof known / sizeof *known;
        while (place < all && strcmp(values[i], known[place].name) != 0) {
            place++;
        }
        if (place < all && known[place].flag != NULL) {
            *known[place].flag = true;
        } else if (place < all && i + 1 < count) {
            *known[place].text = values[++i];
        } else if (place == all && values[i][0] != '-' && given->bundle == NULL) {
            given->bundle = values[i];
        } else {
            return fail(failure, "the argument %s is unknown or lacks its value; expected one of --help; add it", values[i]);
        }
    }
    return given->bundle != NULL || given->help ||
           fail(failure, "no bundle was given; expected a bundle folder; give one made by edgernn export");
}

/* Read a number of `least` to MOST; whole ones only where `whole`. An absent one takes `otherwise`. */
static bool number(const char *flag, const char *text, double least, bool whole, double otherwise, double *value,
                   struct failure *failure) {
    char *end = NULL;
    *value = text != NULL ? strtod(text, &end) : otherwise;
    bool read = text == NULL || (end != text && *end == '\0');
    return (read && *value >= least && *value <= MOST && (!whole || floor(*value) == *value)) ||
           fail(failure, "%s is %s; expected a %snumber of %g or more; give one", flag,
                text != NULL ? text : "damaged in manifest.json", whole ? "whole " : "", least);
}

/* Read a seed: any whole number of 64 bits. */
static bool read_seed(const char *text, uint64_t *seed, struct failure *failure) {
    bool digits = text != NULL && *text != '\0' && strspn(text, "0123456789") == strlen(text);
    errno = 0;
    *seed = digits ? strtoull(text, NULL, 10) : 0;
    return text == NULL || (digits && errno == 0) ||
           fail(failure, "--seed is %s; expected a whole number of 0 to 18446744073709551615; give one", text);
}

static double decoding_default(const struct session *session, const char *name) {
    const struct json *found = json_get(json_get(session->bundle.manifest, "decoding"), name);
    return found != NULL && found->kind == JSON_NUMBER ? found->number : -1;
}

static bool read_options(const struct session *session, const struct given *given, struct options *options,
                         struct failure *failure) {
    double length, top_k;
    bool read = number("--length", given->length, 0, true, 200, &length, failure) &&
                number("--top-k", given->top_k, 0, true, decoding_default(session, "top_k"), &top_k, failure) &&
                read_seed(given->seed, &options->seed, failure) &&
                number("--top-p", given->top_p, 0, false, decoding_default(session, "top_p"), &options->top_p, failure) &&
                number("--temperature", given->temperature, 0, false, decoding_default(session, "temperature"),
                       &options->temperature, failure);
    if (read) {
        options->length = (size_t)length;
        options->top_k = (size_t)top_k;
        read = (options->top_p > 0 && options->top_p <= 1) ||
               fail(failure, "--top-p is %g; expected above 0 and at most 1; 1 keeps all", options->top_p);
    }
    return read;
}

static void print_json_text(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\') {
            printf("\\%c", byte);
        } else if (byte < 0x20) {
            printf("\\u%04x", byte);
        } else {
            putchar(byte);
        }
    }
}

/* What was written so far: `tokens` for --json, and for a stream where it stands, with room for what a token adds. */
struct written {
    size_t *tokens;
    size_t count;
    struct text_stream stream;
    char *text;
};

static void stream(const struct session *session, size_t token, void *context) {
    struct written *written = context;
    fwrite(written->text, 1, tokenizer_text(&session->tokenizer, &written->stream, token, written->text), stdout);
    fflush(stdout);
}

static void collect(const struct session *session, size_t token, void *context) {
    (void)session;
    struct written *written = context;
    size_t *larger = realloc(written->tokens, (written->count + 1) * sizeof *larger);
    if (larger == NULL) {
        abort(); /* a few bytes a token: nothing sensible can follow */
    }
    written->tokens = larger;
    written->tokens[written->count++] = token;
}

static void print_written(const struct session *session, struct written *written) {
    printf("{\"artifact\": \"");
    print_json_text(session->bundle.path, strlen(session->bundle.path));
    printf("\", \"tokens\": [");
    for (size_t i = 0; i < written->count; i++) {
        printf("%s%zu", i > 0 ? ", " : "", written->tokens[i]);
    }
    printf("], \"text\": \"");
    for (size_t i = 0; i < written->count; i++) {
        size_t length = tokenizer_text(&session->tokenizer, &written->stream, written->tokens[i], written->text);
        print_json_text(written->text, length);
    }
    print_json_text(written->text, tokenizer_end(&written->stream, written->text));
    printf("\"}\n");
}

static bool write_text(struct session *session, const struct given *given, struct failure *failure) {
    struct options options;
    const char *prompt = given->prompt != NULL ? given->prompt : "";
    int64_t *ids = calloc(strlen(prompt) + 1, sizeof *ids);
    size_t count = 0;
    struct written written = {.text = malloc(session->tokenizer.longest)};
    bool made = ids != NULL && written.text != NULL && read_options(session, given, &options, failure) &&
                tokenizer_encode(&session->tokenizer, prompt, strlen(prompt), ids, &count, failure); /* before it is printed */
    free(ids);
    if (made && given->json) {
        made = generate(session, prompt, &options, collect, &written, failure);
        if (made) {
            print_written(session, &written);
        }
    } else if (made) {
        fputs(prompt, stdout);
        made = generate(session, prompt, &options, stream, &written, failure);
        fwrite(written.text, 1, tokenizer_end(&written.stream, written.text), stdout);
        putchar('\n');
    }
    free(written.text);
    free(written.tokens);
    return made;
}

static int run(struct session *session, const struct given *given, struct failure *failure) {
    bool passed = true;
    double steps = 0, median_us = 0;
    if (given->check) {
        if (!check_golden(session, &passed, failure)) {
            return BAD_INPUT;
        }
        return passed ? OK : CHECK_FAILED;
    }
    if (given->time == NULL) {
        return write_text(session, given, failure) ? OK : BAD_INPUT;
    }
    bool read = number("--time", given->time, 1, true, 1, &steps, failure);
    if (!read || !check_time(session, (size_t)steps, &median_us, failure)) {
        return BAD_INPUT;
    }
    printf("{\"artifact\": \"");
    print_json_text(session->bundle.path, strlen(session->bundle.path));
    printf("\", \"steps\": %zu, \"median_us\": %.1f}\n", (size_t)steps, median_us);
    return OK;
}

int main(int count, char **values) {
    struct given given = {0};
    struct failure failure = {"nothing was said of what is wrong; expected no such end; report it"};
    int status = BAD_INPUT;
    bool parsed = parse(count, values, &given, &failure);
    if (parsed && given.help) {
        fputs(USAGE, stdout);
        return OK;
    }
    if (parsed) {
        struct session *session = session_load(given.bundle, given.artifact, given.library, &failure);
        status = session != NULL ? run(session, &given, &failure) : BAD_INPUT;
        session_close(session);
    }
    if (status == BAD_INPUT) {
        fprintf(stderr, "error: %s\n", failure.text);
    }
    return status;
}
