/*
 * PostgreSQL's parser as a program that speaks by pipes.
 *
 * It reads batches: a count, then for each text a byte of options, a length and the bytes (numbers
 * are 32 bits, the machine's own order). It answers each batch whole: for each text a byte that is 1
 * where it parses, a length and the parse tree as JSON (or the error); then a count and the ends of
 * the tokens, each as two numbers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg_query.h"

static void
take(void *to, size_t len)
{
	if (fread(to, 1, len, stdin) != len)
		exit(0);
}

static uint32_t
take_number(void)
{
	uint32_t	number;

	take(&number, sizeof number);
	return number;
}

static void
give(const void *from, size_t len)
{
	if (fwrite(from, 1, len, stdout) != len)
		exit(1);
}

static void
give_number(uint32_t number)
{
	give(&number, sizeof number);
}

static void
give_tree(const char *text, uint8_t options)
{
	int			flags = options ? PG_QUERY_DISABLE_STANDARD_CONFORMING_STRINGS : 0;
	PgQueryParseResult result = pg_query_parse_opts(text, flags);
	uint8_t		parses = result.error == NULL;
	const char *said = parses ? result.parse_tree : result.error->message;

	give(&parses, 1);
	give_number(strlen(said));
	give(said, strlen(said));
	pg_query_free_parse_result(result);
}

static void
give_tokens(const char *text)
{
	PgQueryScanTokensResult result = pg_query_scan_tokens(text);
	uint32_t	count = 0;

	for (int i = 0; result.error == NULL && i < result.n_tokens; i++)
		count += result.tokens[i].token != PG_QUERY_TOKEN_SQL_COMMENT
			&& result.tokens[i].token != PG_QUERY_TOKEN_C_COMMENT;
	give_number(count);
	for (int i = 0; count > 0 && i < result.n_tokens; i++)
	{
		if (result.tokens[i].token == PG_QUERY_TOKEN_SQL_COMMENT
			|| result.tokens[i].token == PG_QUERY_TOKEN_C_COMMENT)
			continue;
		give_number(result.tokens[i].start);
		give_number(result.tokens[i].end);
	}
	pg_query_free_scan_tokens_result(result);
}

int
main(void)
{
	for (;;)
	{
		uint32_t	count = take_number();
		char	  **texts = calloc(count, sizeof *texts);
		uint8_t    *options = calloc(count, 1);

		for (uint32_t i = 0; i < count; i++)
		{
			uint32_t	len;

			take(&options[i], 1);
			len = take_number();
			texts[i] = calloc(len + 1, 1);
			take(texts[i], len);
		}
		for (uint32_t i = 0; i < count; i++)
		{
			give_tree(texts[i], options[i]);
			give_tokens(texts[i]);
			free(texts[i]);
		}
		fflush(stdout);
		free(texts);
		free(options);
	}
}
