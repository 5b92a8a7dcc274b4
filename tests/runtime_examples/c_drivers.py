"""Programs in C around parts of the C example, each a main of a test's own."""

from __future__ import annotations

JSON_DRIVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "json.h"
int main(void) {
    uint32_t length;
    while (fread(&length, 4, 1, stdin) == 1) {
        const char *why = NULL;
        char *text = malloc(length + 1);
        if (fread(text, 1, length, stdin) != length) {
            return 1;
        }
        text[length] = 0;
        struct json *value = json_parse(text, length, &why);
        putchar(value != NULL ? '1' : why != NULL ? '0' : '?');
        json_free(value);
        free(text);
    }
    return 0;
}
"""
FUZZ_DRIVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "golden.h"
#include "safetensors.h"
#include "vectors.h"
/* Reads pairs of a manifest and another file's content from stdin, each after its length, puts both into a bundle folder and
 * reads all that there is to read, as far as it goes. Prints how far: a digit a pair. */
static void put(const char *folder, const char *name) {
    char path[4096];
    uint32_t length = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (fread(&length, 4, 1, stdin) != 1) {
        exit(0);
    }
    char *content = malloc(length + 1);
    FILE *file = fopen(path, "wb");
    if (fread(content, 1, length, stdin) != length || fwrite(content, 1, length, file) != length) {
        exit(1);
    }
    fclose(file);
    free(content);
}
int main(int count, char **values) {
    (void)count;
    for (;;) {
        struct model model = {.runtime = NULL};
        struct golden golden = {0};
        struct bundle_error error = {""};
        struct tally tally;
        int reached = 0;
        put(values[1], "manifest.json");
        put(values[1], values[2]);
        bool made = bundle_open(&model.bundle, values[1], NULL, "1.31.1", &error) && ++reached &&
                    tokenizer_open(&model.tokenizer, &model.bundle, &error) && ++reached &&
                    golden_read(&golden, &model, &error) && ++reached &&
                    check_vectors(&model.bundle, &tally, &error) && ++reached;
        fprintf(stderr, "%d", made || strlen(error.text) > 20 ? reached : 9);
        golden_free(&golden);
        tokenizer_close(&model.tokenizer);
        bundle_close(&model.bundle);
    }
}
"""
SHA_DRIVER = """
#include <stdio.h>
#include "sha256.h"
int main(void) {
    unsigned char data[300];
    char digest[65];
    for (size_t length = 0; length < 300; length++) {
        data[length] = (unsigned char)(length * 7);
        sha256(data, length, digest);
        puts(digest);
    }
    return 0;
}
"""
LIBRARY_DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"
#include "safetensors.h"
/* See library_drivers.py: the folder, the numbers, and onnxruntime's library. */
static struct bundle_error error;
static struct sizes sizes;
static struct safetensors file;
static void need(bool good) {
    if (!good) {
        fprintf(stderr, "%s\\n", error.text);
        exit(2);
    }
}
static void *recorded(const struct tensor *tensor, bool steps) {
    int64_t shape[MOST_STORED_AXES], own[MOST_STORED_AXES];
    need(safetensors_shape(&file, tensor->name, shape) == tensor->rank + steps);
    for (size_t i = 0; i < tensor->rank && !steps; i++) {
        if (tensor->shape[i] < 0) {
            sizes.of[-1 - tensor->shape[i]] = shape[i];
        }
    }
    tensor_values(tensor, &sizes, own + steps);
    own[0] = steps ? shape[0] : own[0];
    void *values = safetensors_copy(&file, tensor->name, tensor->dtype, own, tensor->rank + steps, &error);
    need(values != NULL);
    return values;
}
static void print(const struct tensor *tensor, const char *name, const void *values, bool first) {
    int64_t shape[MOST_AXES];
    size_t count = tensor_values(tensor, &sizes, shape);
    printf("%s\\"%s\\": [[", first ? "" : ", ", name);
    for (size_t i = 0; i < tensor->rank; i++) {
        printf("%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
    }
    printf("], [");
    for (size_t i = 0; i < count; i++) {
        printf("%s%.9g", i > 0 ? ", " : "", dtype_read(tensor->dtype, values, i));
    }
    printf("]]");
}
static void print_state(const struct graph *step, const char *state, bool first) {
    for (size_t i = 0; i < step->inputs; i++) {
        if (step->input[i].role == STATE) {
            print(&step->input[i], step->input[i].name, state, first);
            state += state_room(&step->input[i], &sizes);
            first = false;
        }
    }
}
int main(int count, char **words) {
    struct model *model = count == 6 ? model_load(words[1], NULL, words[5], &error) : NULL;
    need(model != NULL);
    const struct bundle *bundle = &model->bundle;
    const struct graph *step = &bundle->step, *encode = &bundle->encode;
    struct values once = {{NULL}, {NULL}}, each = once;
    void *fresh[MOST_TENSORS] = {NULL};
    bool first = true;
    sizes = sizes_of_one(bundle);
    sizes.of[BATCH] = atoi(words[2]);
    need(safetensors_open(&file, bundle, "golden.safetensors", &error));
    for (size_t i = 0; i < encode->inputs; i++) {
        once.input[i] = recorded(&encode->input[i], false);
    }
    char *state = calloc(1, state_bytes(bundle, &sizes)), *next = calloc(1, state_bytes(bundle, &sizes));
    printf("[[{");
    for (size_t i = 0; i < encode->outputs; i++) {
        const struct tensor *made = &encode->output[i];
        once.output[i] = made->role == CONTEXT ? calloc(tensor_values(made, &sizes, NULL), made->dtype->width) : NULL;
    }
    need(model_begin(model, &sizes, &once, state, &error));
    for (size_t i = 0; i < step->inputs; i++) {
        fresh[i] = step->input[i].role == INPUT ? recorded(&step->input[i], true) : NULL;
        for (size_t j = 0; j < encode->outputs; j++) {
            if (step->input[i].role == CONTEXT && strcmp(step->input[i].name, encode->output[j].name) == 0) {
                each.input[i] = once.output[j];
                print(&step->input[i], step->input[i].name, each.input[i], first);
                first = false;
            }
        }
    }
    print_state(step, state, first);
    for (size_t i = 0; i < step->outputs; i++) {
        const struct tensor *made = &step->output[i];
        each.output[i] = made->role == OUTPUT ? calloc(tensor_values(made, &sizes, NULL), made->dtype->width) : NULL;
    }
    const size_t bytes = state_bytes(bundle, &sizes), steps = (size_t)atoi(words[3]), change = (size_t)atoi(words[4]);
    char *older = calloc(1, bytes);
    for (size_t at = 0; at < steps; at++) {
        if (change > 0 && at == change) {
            need(model_begin(model, &sizes, &once, next, &error));
            need(model_set_row(model, &sizes, state, 2, &sizes, state, 0, &error));
            need(model_set_row(model, &sizes, state, 1, &sizes, older, 1, &error));
            need(model_set_row(model, &sizes, state, 0, &sizes, next, 0, &error));
        }
        for (size_t i = 0; i < step->inputs; i++) {
            const struct tensor *given = &step->input[i];
            if (given->role == INPUT) {
                each.input[i] = (char *)fresh[i] + at * tensor_values(given, &sizes, NULL) * given->dtype->width;
            }
        }
        need(model_step(model, &sizes, &each, state, next, &error));
        printf("}%s, [{", at > 0 ? "]" : "");
        first = true;
        for (size_t i = 0; i < step->outputs; i++) {
            if (each.output[i] != NULL) {
                print(&step->output[i], step->output[i].name, each.output[i], first);
                first = false;
            }
        }
        printf("}, {");
        print_state(step, next, true);
        char *used = state;
        state = next;
        next = used;
        memcpy(older, at > 0 ? older : state, at > 0 ? 0 : bytes);
    }
    printf("}]], null]\\n");
    for (size_t i = 0; i < MOST_TENSORS; i++) {
        free(once.input[i]);
        free(once.output[i]);
        free(fresh[i]);
        free(each.output[i]);
    }
    free(state);
    free(next);
    free(older);
    safetensors_close(&file);
    model_close(model);
    return 0;
}
"""
PARTS_DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sampler.h"
/* See library_drivers.py, of parts: the mode, the file and the bundle. */
static int sample_lines(void) {
    struct options options = {0};
    struct ranked room[64];
    float logits[64];
    size_t count;
    double uniform;
    while (scanf("%lf %zu %lf %lf %zu", &options.temperature, &options.top_k, &options.top_p, &uniform, &count) == 5) {
        for (size_t i = 0; i < count; i++) {
            if (scanf("%f", &logits[i]) != 1) {
                return 1;
            }
        }
        printf("%zu\\n", sample(logits, count, &options, uniform, room));
    }
    return 0;
}
static int uniform_lines(void) {
    unsigned long long seed, position;
    while (scanf("%llu %llu", &seed, &position) == 2) {
        printf("%.17g\\n", uniform_at(seed, position));
    }
    return 0;
}
static int token_lines(const char *folder) {
    static char input[1 << 22];
    struct bundle bundle;
    struct tokenizer tokenizer = {0};
    struct bundle_error error;
    const char *why = NULL;
    size_t length = fread(input, 1, sizeof input - 1, stdin);
    if (!bundle_open(&bundle, folder, NULL, "99", &error) ||
        !tokenizer_open(&tokenizer, &bundle, &error)) {
        puts(error.text);
        tokenizer_close(&tokenizer);
        bundle_close(&bundle);
        return 0;
    }
    struct json *document = json_parse(input, length, &why);
    char *text = malloc(tokenizer.longest);
    for (const struct json *item = document->first; item != NULL; item = item->next) {
        struct text_stream stream = {0};
        if (item->kind == JSON_STRING) {
            int64_t *ids = calloc(item->length + 1, sizeof *ids);
            size_t ids_count = 0;
            bool made = tokenizer_encode(&tokenizer, item->text, item->length, ids, &ids_count, &error);
            for (size_t i = 0; made && i < ids_count; i++) {
                printf("%d ", (int)ids[i]);
            }
            puts(made ? "" : "!");
            free(ids);
            continue;
        }
        for (const struct json *id = item->first; id != NULL; id = id->next) {
            size_t written = tokenizer_text(&tokenizer, &stream, (size_t)id->number, text);
            for (size_t i = 0; i < written; i++) {
                printf("%02x", (unsigned char)text[i]);
            }
            putchar('|');
        }
        size_t written = tokenizer_end(&stream, text);
        for (size_t i = 0; i < written; i++) {
            printf("%02x", (unsigned char)text[i]);
        }
        puts("");
    }
    free(text);
    json_free(document);
    tokenizer_close(&tokenizer);
    bundle_close(&bundle);
    return 0;
}
int main(int count, char **values) {
    if (count < 3 || freopen(values[2], "r", stdin) == NULL) {
        return 1;
    }
    return strcmp(values[1], "--sample") == 0    ? sample_lines()
           : strcmp(values[1], "--uniform") == 0 ? uniform_lines()
                                                 : token_lines(values[3]);
}
"""
