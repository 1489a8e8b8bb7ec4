/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of shares for another implementation to recover (tests/vectors/slip39-cross.js check), as JSON on standard output. */
#include "base/json.h"
#include "crypto/crypto.h"
#include "escrow/slip39.h"

#include <stdio.h>

static const struct cof_slip39_scheme schemes[] = {
    {.threshold = 1, .n_groups = 1, .group = {{1, 1}}},
    {.threshold = 1, .n_groups = 1, .group = {{2, 3}}, .exponent = 1},
    {.threshold = 1, .n_groups = 1, .group = {{16, 16}}},
    {.threshold = 2, .n_groups = 3, .group = {{2, 3}, {1, 1}, {3, 5}}, .exponent = 2},
};

/* As many shares as it takes, the last members of the last groups. */
static struct cof_json *words_of(const struct cof_slip39_scheme *s, const struct cof_slip39_share *share, size_t n)
{
	struct cof_json *list = cof_json_array();
	char text[COF_SLIP39_TEXT];

	for (size_t i = n; i-- > 0;) {
		const struct cof_slip39_group *g = &s->group[share[i].group];

		if (share[i].group < s->n_groups - s->threshold || share[i].member < g->members - g->threshold ||
		    cof_slip39_write(&share[i], text) < 0)
			continue;
		cof_json_append(list, cof_json_string(text));
	}
	return list;
}

int main(void)
{
	struct cof_json *all = cof_json_array();
	uint8_t secret[COF_SLIP39_SECRET_MAX];
	char hex[2 * sizeof(secret) + 1];

	if (cof_crypto_init(1u << 20, NULL))
		return 1;
	for (size_t len = 16; len <= sizeof(secret); len += 16)
		for (size_t i = 0; i < COF_COUNT(schemes); i++) {
			struct cof_slip39_share *share = cof_secret_alloc(cof_slip39_count(&schemes[i]) * sizeof(*share));
			struct cof_json *one = cof_json_array();

			cof_random(secret, len);
			cof_hex(secret, len, hex);
			if (!share || cof_slip39_split(&schemes[i], secret, len, "cross check", share, NULL) < 0)
				return 1;
			cof_json_append(one, cof_json_string("made by Coffer"));
			cof_json_append(one, words_of(&schemes[i], share, cof_slip39_count(&schemes[i])));
			cof_json_append(one, cof_json_string(hex));
			cof_json_append(all, one);
			cof_secret_free(share);
		}
	puts(cof_json_text(all, true));
	cof_json_free(all);
	return fflush(stdout) == 0 ? 0 : 1;
}
