/* SPDX-License-Identifier: Apache-2.0 */
/* Which vaults this archive has, as its store names them: STORE/vaults/NAME.conf, and STORE/vaults/host, where the host
 * itself stands. Written by coffer vault; docs/vault-protocol.md 4. */
#include "fs/archive/internal.h"
#include "fs/rules/place.h"

#include <stdio.h>

#define CONF_MAX 4096
#define NEAR_KM 1 /* two rooms of one building are one place */

static bool name_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n && !name[n] && n < 48 && name[0] != '-';
}

static int take_key(void *user, const char *section, const char *key, const char *value, int line COF_UNUSED)
{
	struct cof_vault_known *v = user;
	struct {
		const char *key;
		char *to;
		size_t cap;
	} text[] = {{"url", v->url, sizeof(v->url)},
		    {"place", v->place, sizeof(v->place)},
		    {"jurisdiction", v->jurisdiction, sizeof(v->jurisdiction)},
		    {"administration", v->administration, sizeof(v->administration)}};

	if (strcmp(section, "vault") != 0 && strcmp(section, "host") != 0)
		return 0;
	if (!strcmp(key, "retiring"))
		v->retiring = *value != 0;
	if (!strcmp(key, "vkey"))
		return cof_vkey_parse(value, &v->vkey);
	for (size_t i = 0; i < COF_COUNT(text); i++)
		if (!strcmp(key, text[i].key))
			return snprintf(text[i].to, text[i].cap, "%s", value) < (int)text[i].cap ? 0 : -EUCLEAN;
	return 0;
}

static int load(struct cof_io *io, const char *path, struct cof_vault_known *ret)
{
	cof_autofree uint8_t *text = NULL;
	size_t n = 0;
	int r = cof_io_load(io, path, CONF_MAX, &text, &n);

	return r < 0 ? r : cof_ini_parse((const char *)text, n, take_key, ret, NULL);
}

int cof_vault_load(struct cof_io *io, const char *name, struct cof_vault_known *ret)
{
	struct cof_vault_known v = {.name = ""};
	char path[80];
	int r;

	if (!name_ok(name))
		return -ENOENT;
	snprintf(v.name, sizeof(v.name), "%s", name);
	snprintf(path, sizeof(path), "vaults/%s.conf", name);
	r = load(io, path, &v);
	if (r == 0 && v.vkey.algorithm != COF_NOTE_COSIG)
		r = -EUCLEAN;
	if (r == 0)
		*ret = v;
	return r;
}

bool cof_vault_elsewhere(struct cof_io *io, const struct cof_vault_known *v, uint32_t least, int64_t *ret_distance)
{
	struct cof_vault_known host = {.name = ""};
	struct cof_place here, there;

	*ret_distance = -1;
	if (!strncmp(v->url, "http", 4)) /* a witness holds no copy */
		return false;
	if (load(io, "vaults/host", &host) == 0 && cof_place_parse(host.place, &here, NULL) == 0 &&
	    cof_place_parse(v->place, &there, NULL) == 0) {
		*ret_distance = (int64_t)cof_place_distance(&here, &there);
		return *ret_distance >= (int64_t)COF_MAX(least, NEAR_KM);
	}
	return !least && strncmp(v->url, "dir:", 4) != 0 && strncmp(v->url, "bundle:", 7) != 0;
}
