
/* Write the words of a caption, UTF-8 that ends with a zero, and return the bytes of the text; nothing
   is written where `room` does not hold them and the zero. -1 for a null pointer or an unknown token. */
int32_t net_caption_text(const net_caption *caption, char *text, int32_t room);
