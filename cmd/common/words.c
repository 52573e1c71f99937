#include "words.h"

#include <string.h>

#define SPACE " \t\r\v\f"

bool
words_line(const char **text, size_t *n, char line[WORDS_LINE_SIZE])
{
	const char *end;
	size_t size, copied;

	if (*n == 0)
		return false;
	end = memchr(*text, '\n', *n);
	size = end != NULL ? (size_t)(end - *text) : *n;
	copied = size < WORDS_LINE_SIZE ? size : WORDS_LINE_SIZE - 1;
	memcpy(line, *text, copied);
	line[copied] = '\0';
	*text += size + (end != NULL);
	*n -= size + (end != NULL);
	return true;
}

char *
words_next(char **line)
{
	char *word;

	if (*line == NULL)
		return NULL;
	*line += strspn(*line, SPACE);
	if (**line == '\0')
		return NULL;
	word = *line;
	*line += strcspn(word, SPACE);
	if (**line != '\0')
		*(*line)++ = '\0';
	return word;
}
