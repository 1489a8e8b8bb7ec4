/* SPDX-License-Identifier: Apache-2.0 */
/* R29 and R50: what was destroyed has a certificate, and what else may lead to it is answered for. */
#include "tools/compliance.h"

#include <inttypes.h>
#include <stdio.h>

#define SAY compliance_says

/* The first destruction of which something is missing. False: there is none. */
static bool is_wanting(struct looked *l, bool keys)
{
	for (size_t i = 0; i < l->f->n_destructions; i++) {
		const struct destroyed *d = &l->f->destructions[i];

		if (!d->certified) {
			SAY(l, FAIL, "coffer destroy certificate STORE REQUEST", "what request %.16s destroyed has no certificate", d->request);
			return true;
		}
		if (keys && !d->keys)
			continue;
		if (d->failed) {
			SAY(l, FAIL, "coffer destroy certificate STORE REQUEST", "of request %.16s %" PRId64 " copies are not destroyed", d->request,
			    d->failed);
			return true;
		}
		if (d->open) {
			SAY(l, FAIL, "coffer destroy certificate STORE REQUEST", "of request %.16s %zu are open: %.300s", d->request, d->open,
			    d->names);
			return true;
		}
	}
	return false;
}

void check_destroyed_keys(struct looked *l)
{
	int64_t keys = 0;

	for (size_t i = 0; i < l->f->n_destructions; i++)
		keys += l->f->destructions[i].keys;
	if (is_wanting(l, true))
		return;
	if (!keys)
		SAY(l, MANUAL, "coffer destroy plan STORE PATH", "no escrowed key was destroyed so far; what a plan lists would have to be answered for");
	else
		SAY(l, PASS, "coffer events STORE --type destruction-certificate",
		    "%" PRId64 " escrowed keys were destroyed; of each, every vault, bucket and share is answered for by its certificate", keys);
}

void check_disposal(struct looked *l)
{
	int64_t unknown = 0;
	size_t without = 0;

	for (size_t i = 0; i < l->f->n_destructions; i++) {
		unknown += l->f->destructions[i].unknown;
		without += !l->f->destructions[i].agreement;
	}
	if (is_wanting(l, false))
		return;
	if (!l->f->n_destructions)
		SAY(l, MANUAL, "coffer destroy plan STORE PATH", "nothing was destroyed so far: that it can be is for you to try");
	else if (l->p->destroy_agreement && without)
		SAY(l, MANUAL, "coffer destroy certificate STORE REQUEST --agreement TEXT",
		    "%zu of %zu certificates name no agreement of secrecy: right only where no third party took part", without,
		    l->f->n_destructions);
	else
		SAY(l, PASS, "coffer events STORE --type destruction-certificate",
		    "each of %zu destructions has its certificate, and no copy is open; %" PRId64 " openers and images are listed there as unknown",
		    l->f->n_destructions, unknown);
}
