/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/releases.h"

#include <stdio.h>

static struct release *release_of(const struct releases *r, const char *request)
{
	for (size_t i = 0; request && i < r->n; i++)
		if (!strcmp(r->release[i].request, request))
			return &r->release[i];
	return NULL;
}

static int begin(struct releases *r, const struct cof_json *e, const char *request)
{
	const char *until = cof_json_str(e, "release_at"), *detail = cof_json_str(e, "detail"), *of;
	struct release *one = release_of(r, request), *grown;
	int64_t at;

	if (!request || strlen(request) != 64 || !until || cof_time_parse(until, &at) < 0)
		return 0;
	if (!one) { /* a mount tells it again */
		grown = reallocarray(r->release, r->n + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->release = grown;
		one = &grown[r->n++];
	}
	*one = (struct release){.until = at};
	memcpy(one->request, request, sizeof(one->request));
	of = detail ? strstr(detail, ": ") : NULL;
	snprintf(one->what, sizeof(one->what), "%s", of ? of + 2 : "");
	return 0;
}

static void end(struct releases *r, struct release *one)
{
	if (one)
		*one = r->release[--r->n];
}

/* What becomes of one that could not be done is said in words, with the whole id. */
static struct release *failed(const struct releases *r, const char *detail)
{
	for (size_t i = 0; detail && i < r->n; i++)
		if (strstr(detail, r->release[i].request))
			return &r->release[i];
	return NULL;
}

int releases_add(struct releases *r, const struct cof_json *event)
{
	const char *type = cof_json_str(event, "event"), *request = cof_json_str(event, "request"), *source = cof_json_str(event, "source");

	if (!type || !source || strcmp(source, "coffer") != 0)
		return 0;
	if (!strcmp(type, "escrow-delayed"))
		return begin(r, event, request);
	if (!strcmp(type, "escrow-release") || !strcmp(type, "escrow-vetoed") || !strcmp(type, "declined"))
		end(r, release_of(r, request));
	else if (!strcmp(type, "request-failed"))
		end(r, failed(r, cof_json_str(event, "detail")));
	return 0;
}

void releases_done(struct releases *r)
{
	free(r->release);
	*r = (struct releases){.n = 0};
}
