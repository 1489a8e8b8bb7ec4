/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds shares, where, on what: a scheme as a readable INI, and what it is worth: which losses it
 * survives, and whose hands suffice. Pure. docs/escrow.md describes the file.
 */
#ifndef COF_SCHEME_H
#define COF_SCHEME_H

#include "base/json.h"
#include "escrow/slip39.h"

#define COF_CUSTODIANS_MAX (COF_SLIP39_GROUPS * COF_SLIP39_MEMBERS)
#define COF_SCHEME_TEXT 96 /* bytes of each text, with a NUL */

struct cof_custodian { /* the holder of one share */
	char name[32]; /* a-z, 0-9, '-' */
	char person[COF_SCHEME_TEXT], organisation[COF_SCHEME_TEXT], place[COF_SCHEME_TEXT], medium[COF_SCHEME_TEXT],
	    contact[COF_SCHEME_TEXT];
	char fire_rating[32];
	char recipient[72]; /* "paper", or an age recipient */
	unsigned group;	    /* index; UINT_MAX while in none */
};
struct cof_scheme_group {
	char name[32];
	unsigned threshold, members;
};
struct cof_scheme {
	char name[32];
	char call[COF_SCHEME_TEXT]; /* whom a custodian calls; may be empty */
	unsigned threshold, n_groups, n_custodians;
	struct cof_scheme_group group[COF_SLIP39_GROUPS];
	struct cof_custodian *custodian; /* in order of groups, and in them as members are listed */
};

/* -EUCLEAN with line and reason. Refused too: what fewer than two persons can open (R22); a custodian in two groups or
 * in none. Done with cof_scheme_done. */
int cof_scheme_parse(const char *text, size_t n, struct cof_scheme *ret, struct cof_diag *diag);
void cof_scheme_done(struct cof_scheme *s);
void cof_scheme_slip39(const struct cof_scheme *s, struct cof_slip39_scheme *ret);

/* Whether those that are not lost suffice. lost: one flag for each custodian. */
bool cof_scheme_suffices(const struct cof_scheme *s, const bool *lost);
/* The fewest persons whose shares suffice; exact up to 4 and where nobody holds two, else it may be more, never fewer. */
unsigned cof_scheme_fewest(const struct cof_scheme *s);
unsigned cof_scheme_places(const struct cof_scheme *s); /* in which shares lie */
/* Whether the others suffice, whichever persons are lost, so many of them. All such sets are tried. */
bool cof_scheme_survives(const struct cof_scheme *s, unsigned losses);
/*
 * {"persons_needed": n, "dispersed": bool, "alone": […], "lost_alone": […], "lost_pairs": […], "theft_pairs": […]}: alone are
 * the single persons, organisations, places and media whose shares suffice (R24: then it is not dispersed); lost_alone those
 * without which the others do not; lost_pairs pairs of persons, places and media, none of lost_alone among them, without which
 * the others do not; theft_pairs such pairs, none of alone among them, whose shares suffice; at most 64 of each.
 * Each as {"kind": "place", "value": "…"}.
 */
int cof_scheme_report(const struct cof_scheme *s, struct cof_json *into);

#endif
