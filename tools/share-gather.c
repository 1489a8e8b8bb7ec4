/* SPDX-License-Identifier: Apache-2.0 */
/* A session of a quorum. */
#include "tools/share-gather.h"
#include "tools/coffer.h"
#include "tools/screen.h"
#include "tools/share-read.h"

#include <stdio.h>

#define SAID 512

struct gathering {
	const struct share_gathering *ask;
	struct cof_epoch_session *session;
	char *words;	   /* secure memory */
	char said[SAID];   /* of the last share; no word of it */
};

/* ---- what is shown ---- */

/* "officers: 1 of 2 (alice); may come: bob, carol" */
static void show_group(const struct share_gathering *a, unsigned g, const struct cof_epoch_progress *p)
{
	const struct cof_epoch *e = a->epoch;
	const struct cof_scheme_group *group = &e->scheme.group[g];
	const char *gap;

	screen_say("  %s: %u of %u", group->name, COF_MIN(p->have[g], group->threshold), group->threshold);
	for (int given = 1; given >= 0; given--) {
		if (!given && p->have[g] >= group->threshold)
			break;
		gap = given ? "; here: " : "; may come: ";
		for (unsigned i = 0; i < e->scheme.n_custodians; i++) {
			if (e->scheme.custodian[i].group != g || p->given[i] != given ||
			    (a->shut_out && a->shut_out(a->user, e->scheme.custodian[i].name)))
				continue;
			screen_say("%s%s", gap, e->scheme.custodian[i].name);
			gap = ", ";
		}
	}
	screen_say("%s\n", p->have[g] >= group->threshold ? "; complete" : "");
}

static void show(const struct gathering *g, const struct cof_epoch_progress *p)
{
	const struct cof_epoch *e = g->ask->epoch;

	screen_clear();
	screen_say("%s\nShares of epoch %u (%s)%s: %u of %u groups are needed, %u complete.\n", g->ask->title, e->number, e->scheme.name,
		   e->rehearsal ? ", a REHEARSAL" : "", e->scheme.threshold, e->scheme.n_groups, p->groups_complete);
	for (unsigned i = 0; i < e->scheme.n_groups; i++)
		show_group(g->ask, i, p);
	if (*g->said)
		screen_say("\n%s\n", g->said);
	screen_say("\nType the words of one share; they are not shown. An empty line ends.\n");
}

/* ---- shares ---- */

static int add_one(struct gathering *g, int fd, struct cof_diag *diag)
{
	enum cof_slip39_added added = COF_SLIP39_TAKEN;
	unsigned holder = 0;
	int r = share_read(fd, "Share", g->ask->idle, g->words, diag);

	if (r == 0)
		r = cof_epoch_session_add(g->session, g->words, strlen(g->words), &added, &holder, diag);
	cof_wipe(g->words, SHARE_ROOM);
	if (r < 0)
		return r;
	snprintf(g->said, sizeof(g->said), "%s: %s", g->ask->epoch->scheme.custodian[holder].name,
		 added == COF_SLIP39_TAKEN	 ? "taken"
		 : added == COF_SLIP39_DUPLICATE ? "was there already"
						 : "right, and not needed; it is not kept");
	return 0;
}

static bool is_about_share(int r)
{
	return r == -EKEYREJECTED || r == -EUCLEAN || r == -EINVAL || r == -E2BIG || r == -EKEYREVOKED;
}

/* Wrong shares are said and passed over, so that those who are there can go on. */
static int take_shares(struct gathering *g, struct cof_diag *diag)
{
	const struct share_gathering *a = g->ask;
	struct cof_epoch_progress p = {.ready = false};
	cof_autobuf struct cof_buf missing = {0};
	unsigned at = 0;

	for (;;) {
		struct cof_diag why = {""};
		int r;

		cof_epoch_session_progress(g->session, &p);
		if (p.ready || (a->n_fds && at == a->n_fds))
			break;
		if (!a->n_fds)
			show(g, &p);
		r = add_one(g, a->n_fds ? a->fds[at++] : -1, &why);
		if (is_about_share(r))
			snprintf(g->said, sizeof(g->said), "%s", why.text);
		else if (r == -ECANCELED)
			break;
		else if (r < 0)
			return cof_fail(diag, r, "%s", why.text);
		if (a->n_fds && is_about_share(r))
			complain("%s", g->said);
		else if (a->n_fds)
			fprintf(stderr, "%s\n", g->said);
	}
	if (p.ready)
		return 0;
	cof_epoch_session_missing(g->session, &missing);
	return cof_fail(diag, -EAGAIN, "not enough shares: %s", missing.data ? (char *)missing.data : "");
}

static int get_passphrase(const struct share_gathering *a, char *out, struct cof_diag *diag)
{
	size_t n = 0;
	int r = 0;

	if (a->passphrase_fd >= 0)
		r = cof_read_all(a->passphrase_fd, out, COF_PASSPHRASE_MAX + 1, &n);
	else if (a->epoch->passphrase)
		return cof_passphrase_ask("the epoch", false, out, &n, diag);
	if (r < 0)
		return cof_fail(diag, r, "the passphrase's descriptor: %s", strerror(-r));
	if (n && out[n - 1] == '\n')
		out[n - 1] = 0;
	return 0;
}

int share_gather(const struct share_gathering *a, uint8_t identity[COF_AGE_KEY], struct cof_diag *diag)
{
	cof_autosecret char *passphrase = cof_secret_alloc(COF_PASSPHRASE_ROOM);
	struct gathering g = {.ask = a, .words = cof_secret_alloc(SHARE_ROOM)};
	int r = passphrase && g.words ? cof_epoch_session_new(a->epoch, &g.session) : -ENOMEM;

	if (r < 0) {
		cof_secret_free(g.words);
		return cof_fail(diag, r, "no secure memory is left");
	}
	for (unsigned i = 0; a->shut_out && i < a->epoch->scheme.n_custodians; i++)
		if (a->shut_out(a->user, a->epoch->scheme.custodian[i].name))
			cof_epoch_session_shut_out(g.session, i);
	if (!a->n_fds)
		screen_enter();
	r = take_shares(&g, diag);
	if (r == 0)
		r = get_passphrase(a, passphrase, diag);
	if (r == 0)
		r = cof_epoch_session_secret(g.session, passphrase, identity, diag);
	cof_epoch_session_free(g.session);
	cof_secret_free(g.words);
	if (!a->n_fds)
		screen_leave();
	return r;
}
