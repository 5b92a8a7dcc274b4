
/* A token is a byte. */
int net_text_encode(const char *text, int64_t *tokens, int32_t room, int32_t *count)
{
    int32_t found = 0;
    if (!text || !tokens || !count) { return NET_TEXT_NULL; }
    while (text[found]) {
        uint32_t code;
        const int32_t length = read_character(text + found, &code);
        if (!length) { return NET_TEXT_UNKNOWN; }
        found += length;
    }
    *count = found;
    if (found > room) { return NET_TEXT_LONG; }
    for (int32_t i = 0; i < found; ++i) { tokens[i] = (uint8_t)text[i]; }
    return NET_TEXT_OK;
}

int32_t net_text_push(net_text_decoder *decoder, int64_t token, char piece[NET_TEXT_PIECE])
{
    if (!decoder || !piece || token < 0 || token >= NET_TEXT_VOCABULARY) { return -1; }
    return push_byte(decoder, (uint8_t)token, piece);
}
