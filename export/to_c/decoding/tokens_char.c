
static int64_t token_of(uint32_t code)
{
    for (int32_t token = 0; token < NET_TEXT_VOCABULARY; ++token) {
        if (characters[token] == code) { return token; }
    }
    return -1;
}

/* A token is a character. */
int net_text_encode(const char *text, int64_t *tokens, int32_t room, int32_t *count)
{
    int32_t found = 0;
    if (!text || !tokens || !count) { return NET_TEXT_NULL; }
    for (int pass = 0; pass < 2; ++pass) {
        const char *at = text;
        for (found = 0; *at; ++found) {
            uint32_t code = 0;
            const int32_t length = read_character(at, &code);
            const int64_t token = length ? token_of(code) : -1;
            if (token < 0) { return NET_TEXT_UNKNOWN; }
            if (pass) { tokens[found] = token; }
            at += length;
        }
        *count = found;
        if (found > room) { return NET_TEXT_LONG; }
    }
    return NET_TEXT_OK;
}

int32_t net_text_push(net_text_decoder *decoder, int64_t token, char piece[NET_TEXT_PIECE])
{
    uint32_t code;
    int32_t written = 0;
    if (!decoder || !piece || token < 0 || token >= NET_TEXT_VOCABULARY) { return -1; }
    code = characters[token];
    if (code < 0x80) { return push_byte(decoder, (uint8_t)code, piece); }
    if (code < 0x800) {
        written += push_byte(decoder, (uint8_t)(0xC0 | code >> 6), piece);
    } else {
        if (code < 0x10000) {
            written += push_byte(decoder, (uint8_t)(0xE0 | code >> 12), piece);
        } else {
            written += push_byte(decoder, (uint8_t)(0xF0 | code >> 18), piece);
            written += push_byte(decoder, (uint8_t)(0x80 | (code >> 12 & 0x3F)), piece + written);
        }
        written += push_byte(decoder, (uint8_t)(0x80 | (code >> 6 & 0x3F)), piece + written);
    }
    return written + push_byte(decoder, (uint8_t)(0x80 | (code & 0x3F)), piece + written);
}
