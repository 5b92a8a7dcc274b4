/* Write text from a bundle folder, replay its golden run, time its steps: ./edgernn BUNDLE, see USAGE. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sampler.h"

static const char USAGE[] = "edgernn BUNDLE [--prompt TEXT] [--length N] [--temperature T] [--top-k K] "
                            "[--top-p P] [--seed S] [--json]\n"
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

static bool parse(int count, char **values, struct given *given, struct bundle_error *error) {
    const struct {
        const char *name;
        const char **text;
        bool *flag;
    } known[] = {
        {"--prompt", &given->prompt, NULL},
        {"--artifact", &given->artifact, NULL},
        {"--library", &given->library, NULL},
        {"--length", &given->length, NULL},
        {"--temperature", &given->temperature, NULL},
        {"--top-k", &given->top_k, NULL},
        {"--top-p", &given->top_p, NULL},
        {"--seed", &given->seed, NULL},
        {"--time", &given->time, NULL},
        {"--check", NULL, &given->check},
        {"--json", NULL, &given->json},
        {"--help", NULL, &given->help},
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
            return fail(error,
                        "the argument %s is unknown or lacks its value; expected one of --help; add it",
                        values[i]);
        }
    }
    return given->bundle != NULL || given->help ||
           fail(error, "no bundle was given; expected a bundle folder; give one made by edgernn export");
}

/* Read a number of `least` to MOST; whole ones only where `whole`. An absent one takes `otherwise`. */
static bool number(const char *flag, const char *text, double least, bool whole, double otherwise,
                   double *value, struct bundle_error *error) {
    char *end = NULL;
    *value = text != NULL ? strtod(text, &end) : otherwise;
    bool read = text == NULL || (end != text && *end == '\0');
    return (read && *value >= least && *value <= MOST && (!whole || floor(*value) == *value)) ||
           fail(error, "%s is %s; expected a %snumber of %g or more; give one", flag,
                text != NULL ? text : "damaged in manifest.json", whole ? "whole " : "", least);
}

/* Read a seed: any whole number of 64 bits. */
static bool read_seed(const char *text, uint64_t *seed, struct bundle_error *error) {
    bool digits = text != NULL && *text != '\0' && strspn(text, "0123456789") == strlen(text);
    errno = 0;
    *seed = digits ? strtoull(text, NULL, 10) : 0;
    return text == NULL || (digits && errno == 0) ||
           fail(error, "--seed is %s; expected a whole number of 0 to 18446744073709551615; give one", text);
}

static double decoding_default(const struct model *model, const char *name) {
    const struct json *found = json_get(json_get(model->bundle.manifest, "decoding"), name);
    return found != NULL && found->kind == JSON_NUMBER ? found->number : -1;
}

static bool read_options(const struct model *model, const struct given *given, struct options *options,
                         struct bundle_error *error) {
    double length, top_k;
    bool read =
        number("--length", given->length, 0, true, 200, &length, error) &&
        number("--top-k", given->top_k, 0, true, decoding_default(model, "top_k"), &top_k, error) &&
        read_seed(given->seed, &options->seed, error) &&
        number("--top-p", given->top_p, 0, false, decoding_default(model, "top_p"), &options->top_p, error) &&
        number("--temperature", given->temperature, 0, false, decoding_default(model, "temperature"),
               &options->temperature, error);
    if (read) {
        options->length = (size_t)length;
        options->top_k = (size_t)top_k;
        read = (options->top_p > 0 && options->top_p <= 1) ||
               fail(error, "--top-p is %g; expected above 0 and at most 1; 1 keeps all", options->top_p);
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

/* What was written so far: `tokens` for --json, and for a stream where it stands, with room for what a token
 * adds. */
struct written {
    size_t *tokens;
    size_t count;
    struct text_stream stream;
    char *text;
};

static void stream(const struct model *model, size_t token, void *context) {
    struct written *written = context;
    fwrite(written->text, 1, tokenizer_text(&model->tokenizer, &written->stream, token, written->text),
           stdout);
    fflush(stdout);
}

static void collect(const struct model *model, size_t token, void *context) {
    (void)model;
    struct written *written = context;
    size_t *larger = realloc(written->tokens, (written->count + 1) * sizeof *larger);
    if (larger == NULL) {
        abort(); /* a few bytes a token: nothing sensible can follow */
    }
    written->tokens = larger;
    written->tokens[written->count++] = token;
}

static void print_written(const struct model *model, struct written *written) {
    printf("{\"artifact\": \"");
    print_json_text(model->bundle.stepper.path, strlen(model->bundle.stepper.path));
    printf("\", \"tokens\": [");
    for (size_t i = 0; i < written->count; i++) {
        printf("%s%zu", i > 0 ? ", " : "", written->tokens[i]);
    }
    printf("], \"text\": \"");
    for (size_t i = 0; i < written->count; i++) {
        size_t length =
            tokenizer_text(&model->tokenizer, &written->stream, written->tokens[i], written->text);
        print_json_text(written->text, length);
    }
    print_json_text(written->text, tokenizer_end(&written->stream, written->text));
    printf("\"}\n");
}

static bool write_text(struct model *model, const struct given *given, struct bundle_error *error) {
    if (!model->has_tokenizer) {
        return fail(error, "the bundle has no tokenizer, so that there is no text to write; expected one of "
                           "a model of text; replay "
                           "its recorded run with --check");
    }
    struct options options;
    const char *prompt = given->prompt != NULL ? given->prompt : "";
    int64_t *ids = calloc(strlen(prompt) + 1, sizeof *ids);
    size_t count = 0;
    struct written written = {.text = malloc(model->tokenizer.longest)};
    bool made = ids != NULL && written.text != NULL && read_options(model, given, &options, error) &&
                tokenizer_encode(&model->tokenizer, prompt, strlen(prompt), ids, &count,
                                 error); /* before it is printed */
    if (made && given->json) {
        made = generate(model, prompt, &options, collect, &written, error);
        if (made) {
            print_written(model, &written);
        }
    } else if (made) {
        for (size_t i = 0; i < count; i++) { /* the prompt as the model reads it */
            stream(model, (size_t)ids[i], &written);
        }
        made = generate(model, prompt, &options, stream, &written, error);
        fwrite(written.text, 1, tokenizer_end(&written.stream, written.text), stdout);
        putchar('\n');
    }
    free(ids);
    free(written.text);
    free(written.tokens);
    return made;
}

static int run(struct model *model, const struct given *given, struct bundle_error *error) {
    bool passed = true;
    double steps = 0, median_us = 0;
    if (given->check) {
        if (!check_golden(model, &passed, error)) {
            return BAD_INPUT;
        }
        return passed ? OK : CHECK_FAILED;
    }
    if (given->time == NULL) {
        return write_text(model, given, error) ? OK : BAD_INPUT;
    }
    bool read = number("--time", given->time, 1, true, 1, &steps, error);
    if (!read || !check_time(model, (size_t)steps, &median_us, error)) {
        return BAD_INPUT;
    }
    printf("{\"artifact\": \"");
    print_json_text(model->bundle.stepper.path, strlen(model->bundle.stepper.path));
    printf("\", \"steps\": %zu, \"median_us\": %.1f}\n", (size_t)steps, median_us);
    return OK;
}

int main(int count, char **values) {
    struct given given = {0};
    struct bundle_error error = {"nothing was said of what is wrong; expected no such end; report it"};
    int status = BAD_INPUT;
    bool parsed = parse(count, values, &given, &error);
    if (parsed && given.help) {
        fputs(USAGE, stdout);
        return OK;
    }
    if (parsed) {
        struct model *model = model_load(given.bundle, given.artifact, given.library, &error);
        status = model != NULL ? run(model, &given, &error) : BAD_INPUT;
        model_close(model);
    }
    if (status == BAD_INPUT) {
        fprintf(stderr, "error: %s\n", error.text);
    }
    return status;
}
