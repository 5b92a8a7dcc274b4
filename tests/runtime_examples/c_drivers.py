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
SAMPLE_DRIVER = """
#include <stdio.h>
#include "sampler.h"
int main(void) {
    struct options options = {0};
    struct ranked room[64];
    float logits[64];
    size_t count;
    double uniform;
    while (scanf("%zu %lf %zu %lf %lf", &count, &options.temperature, &options.top_k, &options.top_p, &uniform) == 5) {
        for (size_t i = 0; i < count; i++) {
            if (scanf("%f", &logits[i]) != 1) {
                return 1;
            }
        }
        printf("%zu\\n", sample(logits, count, &options, uniform, room));
    }
    return 0;
}
"""
TOKENS_DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include "tokenizer.h"
/* For each value of a JSON array on stdin a line: the ids of a text, or ! where it is refused; the bytes of a list of ids. */
int main(int count, char **values) {
    static char input[1 << 22];
    struct bundle bundle;
    struct tokenizer tokenizer = {0};
    struct bundle_error error;
    const char *why = NULL;
    size_t length = fread(input, 1, sizeof input - 1, stdin);
    if (count != 2 || !bundle_open(&bundle, values[1], NULL, "99", &error) ||
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
UNIFORM_DRIVER = """
#include <stdio.h>
#include "sampler.h"
int main(void) {
    unsigned long long seed, position;
    while (scanf("%llu %llu", &seed, &position) == 2) {
        printf("%.17g\\n", uniform_at(seed, position));
    }
    return 0;
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
