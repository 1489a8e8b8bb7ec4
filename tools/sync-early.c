/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sync-early.h"

#include "tools/bundles.h"
#include "tools/witness.h"

#include <stdio.h>

struct way {
	char url[512];
	bool retiring;
};

static int take(void *user, const char *section, const char *key, const char *value, int line COF_UNUSED)
{
	struct way *w = user;

	if (strcmp(section, "vault"))
		return 0;
	if (!strcmp(key, "retiring"))
		w->retiring = *value;
	if (strcmp(key, "url"))
		return 0;
	return snprintf(w->url, sizeof(w->url), "%s", value) < (int)sizeof(w->url) ? 0 : -EUCLEAN;
}

static int first(void *user, const char *file)
{
	char *name = user;
	size_t n = strlen(file);

	if (!*name && n > 5 && n < 60 && !strcmp(file + n - 5, ".conf"))
		snprintf(name, 64, "%.*s", (int)(n - 5), file);
	return 0;
}

int sync_early(const struct store *s, const char *vault, char ret_url[512], struct vault_line *ret)
{
	cof_autofree uint8_t *text = NULL;
	char name[64] = "", path[80];
	struct way w = {.url = ""};
	size_t n = 0;
	int r = vault ? 0 : cof_io_list(s->io, "vaults", first, name);

	if (r < 0 || !vault_name_ok(vault ? vault : name))
		return -ENOENT;
	snprintf(path, sizeof(path), "vaults/%s.conf", vault ? vault : name);
	r = cof_io_load(s->io, path, 4096, &text, &n);
	if (r == 0)
		r = cof_ini_parse((const char *)text, n, take, &w, NULL);
	if (r == 0 && (!*w.url || (w.retiring && !vault) || witness_is_url(w.url) || !strcmp(w.url, BUNDLE_URL)))
		r = -ENOENT;
	if (r == 0)
		r = vault_line_open(w.url, ret, NULL);
	if (r == 0)
		memcpy(ret_url, w.url, sizeof(w.url));
	return r;
}
