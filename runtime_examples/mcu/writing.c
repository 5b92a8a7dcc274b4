#include "writing.h"

#include "text.h"

enum { MOST_TOKENS = 64 }; /* of a prompt */

static net_text text;
static net_text_room room;
static net_text_decoder decoder;
static hear_piece heard;

static int hear(void *context, int64_t token)
{
    char piece[NET_TEXT_PIECE];
    const int32_t bytes = net_text_push(&decoder, token, piece);
    (void)context;
    if (bytes > 0) { heard(piece, bytes); }
    return bytes < 0;
}

int write_text(const char *prompt, uint64_t seed, int32_t length, hear_piece with)
{
    static int64_t tokens[MOST_TOKENS];
    net_text_options options = NET_TEXT_DEFAULTS;
    char piece[NET_TEXT_PIECE];
    int32_t count = 0;
    int code = net_text_encode(prompt, tokens, MOST_TOKENS, &count);
    if (code != NET_TEXT_OK) { return code; }
    options.seed = seed;
    options.length = length;
    heard = with;
    net_text_begin(&text);
    decoder.count = 0;
    code = net_text_write(&text, tokens, count, &options, hear, 0, &room);
    count = net_text_flush(&decoder, piece);
    if (count > 0) { with(piece, count); }
    return code;
}
