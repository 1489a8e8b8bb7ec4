/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile as text: an INI with the parts [archive] and [shelf NAME]. The keys of a shelf are those of its
 * policy, which reads them itself.
 */
#include "fs/rules/catalogue.h"
#include "fs/rules/profile-private.h"

#include <ctype.h>
#include <stdio.h>

#define SHELF "shelf "
#define SECTION_MAX 48 /* what the INI reader tells of a section's name */

struct shelf_text {
	char name[sizeof(((struct cof_profile_shelf *)0)->name)];
	struct cof_buf text;
	int lines; /* in text: padded, so that a complaint names the line of the file */
};

struct reading {
	struct cof_profile archive;
	uint8_t seen[(sizeof(struct cof_profile) + 7) / 8]; /* bit per key: there are fewer keys than bytes */
	struct shelf_text *shelves;
	size_t n;
	struct cof_diag *diag;
};

/* ---- the part [archive] ---- */

static int archive_key(struct reading *p, const char *key, const char *value, int line)
{
	cof_autobuf struct cof_buf takes = {0};

	for (size_t i = 0; i < profile_n_keys; i++) {
		if (strcmp(key, profile_keys[i].name))
			continue;
		if (p->seen[i / 8] >> i % 8 & 1)
			return cof_fail(p->diag, -EUCLEAN, "line %d: %s is given twice", line, key);
		p->seen[i / 8] |= (uint8_t)(1u << i % 8);
		if (profile_read(&profile_keys[i], value, &p->archive))
			return 0;
		profile_takes(&profile_keys[i], &takes);
		if (takes.failed)
			return -ENOMEM;
		return cof_fail(p->diag, -EUCLEAN, "line %d: '%.80s' is no value of %s; it takes %s", line, value, key,
				(const char *)takes.data);
	}
	return cof_fail(p->diag, -EUCLEAN, "line %d: [archive] has no key '%.80s'", line, key);
}

/* ---- the parts [shelf NAME] ---- */

static bool is_shelf_name(const char *name)
{
	size_t n = strlen(name);

	if (!n || n >= sizeof(((struct shelf_text *)0)->name) || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || (unsigned char)*name < ' ' || *name == 0x7f)
			return false;
	return true;
}

static int find_shelf(struct reading *p, const char *name, int line, struct shelf_text **ret)
{
	struct shelf_text *grown;

	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->shelves[i].name, name)) {
			*ret = &p->shelves[i];
			return 0;
		}
	if (!is_shelf_name(name))
		return cof_fail(p->diag, -EUCLEAN,
				"line %d: '%.60s' cannot be the name of a shelf here: 1 to %zu bytes, no '/', not \".\" or "
				"\"..\"",
				line, name, sizeof((*ret)->name) - 1);
	if (p->n == COF_PROFILE_SHELVES)
		return cof_fail(p->diag, -EUCLEAN, "line %d: a profile has at most %d shelves", line,
				COF_PROFILE_SHELVES);
	grown = realloc(p->shelves, (p->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->shelves = grown;
	*ret = &grown[p->n++];
	memset(*ret, 0, sizeof(**ret));
	snprintf((*ret)->name, sizeof((*ret)->name), "%s", name);
	return 0;
}

static int shelf_key(struct reading *p, const char *name, const char *key, const char *value, int line)
{
	struct shelf_text *s = NULL;
	int r = find_shelf(p, name, line, &s);

	if (r < 0 || !s)
		return r;
	for (; s->lines < line - 1; s->lines++)
		cof_buf_add(&s->text, "\n", 1);
	cof_buf_printf(&s->text, "%s = %s\n", key, value);
	s->lines++;
	return s->text.failed ? -ENOMEM : 0;
}

static int one_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct reading *p = user;

	if (section && !strcmp(section, "archive"))
		return archive_key(p, key, value, line);
	if (section && !strncmp(section, SHELF, sizeof(SHELF) - 1) && strlen(section) < SECTION_MAX)
		return shelf_key(p, section + sizeof(SHELF) - 1, key, value, line);
	if (!section || !*section)
		return cof_fail(p->diag, -EUCLEAN, "line %d: %.80s stands in no part; the first line is [archive]", line, key);
	return cof_fail(p->diag, -EUCLEAN, "line %d: [%.60s] is neither [archive] nor [shelf NAME]%s", line, section,
			strlen(section) < SECTION_MAX ? "" : " with a name of at most 43 bytes");
}

/* A part without a key would be passed over in silence, and a second one of the same name joined to the first. */
static int check_parts(struct reading *p, const char *text, size_t n)
{
	cof_autobuf struct cof_buf heads = {0};
	const char *end = text + n;
	int line = 0, head = 0;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *next = stop ? stop + 1 : end;
		size_t len;

		line++;
		while (text < next && *text != '\n' && isspace((unsigned char)*text))
			text++;
		len = text < (stop ? stop : end) ? (size_t)((stop ? stop : end) - text) : 0;
		if (len && *text == '[') {
			const char *close = memchr(text, ']', len);
			size_t name = close ? (size_t)(close - text) : len;

			if (head)
				return cof_fail(p->diag, -EUCLEAN, "line %d: a part without a key; give it one, or take it away",
						head);
			cof_buf_add(&heads, "\n", 1);
			cof_buf_add(&heads, text, name);
			cof_buf_add(&heads, "\n", 1);
			if (heads.failed)
				return -ENOMEM;
			/* Before this one there is none like it. */
			if (memmem(heads.data, heads.len - name - 2, heads.data + heads.len - name - 2, name + 2))
				return cof_fail(p->diag, -EUCLEAN, "line %d: %.*s] is there twice", line,
						(int)COF_MIN(name, 60), text);
			head = line;
		} else if (len && *text != '#' && *text != ';') {
			head = 0;
		}
		text = next;
	}
	return head ? cof_fail(p->diag, -EUCLEAN, "line %d: a part without a key; give it one, or take it away", head)
		    : 0;
}

/* ---- what does not fit together ---- */

static int check_exclusive(struct reading *p)
{
	const char *at = p->archive.exclusive;

	while (*at) {
		size_t n = strcspn(at, " ");
		const char *plus = memchr(at, '+', n);
		size_t first = plus ? (size_t)(plus - at) : 0, second = plus ? n - first - 1 : 0;

		if (!first || !second || (first == second && !memcmp(at, plus + 1, first)) ||
		    strspn(plus + 1, "abcdefghijklmnopqrstuvwxyz0123456789-") < second ||
		    strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789-") < first)
			return cof_fail(p->diag, -EUCLEAN,
					"exclusive: '%.*s' is no pair of two roles, such as auditor+operator",
					(int)COF_MIN(n, 60), at);
		at += n + (at[n] == ' ');
	}
	return 0;
}

/* "A.14.3=officer": kinds that are in the catalogue, and who reports them, as people files name persons and roles. */
static int check_coverage_by(struct reading *p)
{
	const char *at = p->archive.coverage_by;

	while (*at) {
		size_t n = strcspn(at, " "), len = strcspn(at, "=");
		char id[16] = "";

		if (len < n && len < sizeof(id))
			memcpy(id, at, len);
		if (!*id || !cof_catalogue_find(id))
			return cof_fail(p->diag, -EUCLEAN, "coverage_by: '%.*s' begins with no kind of the catalogue, as A.14.3=officer does",
					(int)COF_MIN(n, 60), at);
		len++;
		if (len == n || strspn(at + len, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-") < n - len)
			return cof_fail(p->diag, -EUCLEAN, "coverage_by: '%.*s' names no person and no role, as A.14.3=officer does",
					(int)COF_MIN(n, 60), at);
		at += n + (at[n] == ' ');
	}
	return 0;
}

static int check_rules(struct reading *p)
{
	for (size_t i = 0; i < profile_n_keys; i++) {
		const struct profile_key *k = &profile_keys[i];
		const char *rule = (const char *)&p->archive + k->at;

		if (k->kind == KEY_RULE && (uint32_t)strtoul(rule, NULL, 10) < p->archive.persons)
			return cof_fail(p->diag, -EUCLEAN, "%s asks for fewer persons than persons = %u", k->name,
					p->archive.persons);
	}
	return 0;
}

static int check(struct reading *p)
{
	const struct cof_profile *a = &p->archive;
	int r = check_exclusive(p);

	if (r == 0)
		r = check_coverage_by(p);
	if (r == 0)
		r = check_rules(p);
	if (r < 0)
		return r;
	if (a->incident_pass_on && (!a->incident_least || a->incident_pass_on < a->incident_least))
		return cof_fail(p->diag, -EUCLEAN, "incident_pass_on is below incident_least: what is not reported is not "
						   "passed on");
	if (a->compromise_within && !*a->compromise_to)
		return cof_fail(p->diag, -EUCLEAN, "compromise_within needs somebody to tell: compromise_to");
	return 0;
}

/* ---- all of it ---- */

static int take_shelves(struct reading *p, struct cof_profile_file *f)
{
	f->shelves = calloc(p->n ? p->n : 1, sizeof(*f->shelves));
	if (!f->shelves)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++) {
		struct cof_diag why = {""};
		int r = cof_policy_parse((char *)p->shelves[i].text.data, p->shelves[i].text.len,
					 &f->shelves[i].policy, &why);

		if (r < 0)
			return cof_fail(p->diag, r, "[shelf %s]: %s", p->shelves[i].name, why.text);
		memcpy(f->shelves[i].name, p->shelves[i].name, sizeof(f->shelves[i].name));
		f->n_shelves++;
	}
	return 0;
}

int cof_profile_parse(const char *text, size_t n, struct cof_profile_file *ret, struct cof_diag *diag)
{
	struct reading p = {.diag = diag};
	struct cof_profile_file f = {.shelves = NULL};
	int r;

	if (n > COF_PROFILE_MAX)
		return cof_fail(diag, -EUCLEAN, "a profile has at most %d bytes", COF_PROFILE_MAX);
	cof_profile_default(&p.archive);
	r = cof_ini_parse(text, n, one_key, &p, diag);
	if (r == 0)
		r = check_parts(&p, text, n);
	if (r == 0)
		r = check(&p);
	if (r == 0)
		r = take_shelves(&p, &f);
	for (size_t i = 0; i < p.n; i++)
		cof_buf_done(&p.shelves[i].text);
	free(p.shelves);
	if (r < 0) {
		free(f.shelves);
		return r == -ENOMEM ? cof_fail(diag, r, "out of memory") : r;
	}
	f.archive = p.archive;
	*ret = f;
	return 0;
}

void cof_profile_file_done(struct cof_profile_file *f)
{
	free(f->shelves);
	memset(f, 0, sizeof(*f));
}

int cof_profile_text(const struct cof_profile *p, struct cof_buf *ret)
{
	cof_buf_printf(ret, "[archive]\n");
	for (size_t i = 0; i < profile_n_keys; i++) {
		cof_autobuf struct cof_buf value = {0};

		profile_write(&profile_keys[i], p, &value);
		if (value.failed)
			return -ENOMEM;
		cof_buf_printf(ret, "%s =%s%s\n", profile_keys[i].name, value.len ? " " : "",
			       value.len ? (const char *)value.data : "");
	}
	return ret->failed ? -ENOMEM : 0;
}
