/* SPDX-License-Identifier: Apache-2.0 */
/* What coffer verify found out, for people and for programs. */
#include "tools/verify-say.h"

#include "tools/coffer.h"

#include <inttypes.h>
#include <stdio.h>

static bool sealed_end(const struct verifying *v)
{
	return v->auditors.n && v->result.seal_since < v->result.frames + v->result.since;
}

static void tell_seal_json(const struct verifying *v, struct cof_json *o)
{
	const struct cof_verified *r = &v->result;

	if (sealed_end(v)) {
		cof_json_set_uint(o, "seal_since", r->seal_since);
		cof_json_set_time(o, "seal_since_time", r->seal_since_time);
	}
	if (r->seal_broken)
		cof_json_set_uint(o, "seal_first_false", r->seal_false);
	cof_json_set_uint(o, "unproven", r->unproven);
	if (!v->anchor.told)
		return;
	cof_json_set_str(o, "anchor", v->anchor.text.text);
	cof_json_set_str(o, "anchor_verdict", cof_verdict_name(v->anchor.verdict));
}

/* Since when, and what was false before. */
static void tell_seal(const struct verifying *v)
{
	const struct cof_verified *r = &v->result;
	char time[32];

	if (!v->auditors.n)
		return;
	if (r->seal_broken)
		printf("The first frame whose seal is false is %" PRIu64 ".\n", r->seal_false);
	if (sealed_end(v)) {
		cof_time_text(r->seal_since_time, time);
		printf("The seal is unbroken since frame %" PRIu64 " (%s).\n", r->seal_since, time);
	} else {
		printf("The seal of the newest frames does not hold, or nobody gave the secret for it.\n");
	}
}

static void tell_anchor(const struct verifying *v)
{
	cof_autofree char *shown = v->anchor.told ? escaped(v->anchor.text.text) : NULL;

	if (shown)
		printf("%sAnchor%s: %s.\n", colour(v->anchor.verdict == COF_INTACT ? GREEN : RED), colour(PLAIN), shown);
}

static void tell_vaults_json(const struct verifying *v, struct cof_json *into)
{
	struct cof_json *all = cof_json_array();
	char vkey[COF_VKEY_MAX], root[48];

	for (unsigned i = 0; i < v->n_vaults; i++) {
		const struct cof_cosign *c = &v->vault[i].newest;
		struct cof_json *o = cof_json_object();

		cof_vkey_text(&c->vkey, vkey);
		cof_base64(c->root, COF_HASH, root);
		cof_json_set_str(o, "vkey", vkey);
		cof_json_set_str(o, "place", c->place);
		cof_json_set_str(o, "jurisdiction", c->jurisdiction);
		cof_json_set_str(o, "administration", c->administration);
		cof_json_set_bool(o, "elsewhere", c->elsewhere);
		cof_json_set_uint(o, "size", c->size);
		cof_json_set_str(o, "root", root);
		cof_json_set_time(o, "time", c->time);
		cof_json_set_uint(o, "cosignatures", v->vault[i].count);
		cof_json_set_bool(o, "proof", v->vault[i].known);
		cof_json_append(all, o);
	}
	cof_json_set(into, "vaults", all);
}

void verify_tell_json(struct verifying *v)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const struct cof_verified *r = &v->result;
	char id[33], root[48], vkey[COF_VKEY_MAX];
	const char *source = v->vkey_given ? "given" : "archive.conf";

	cof_json_set_str(o, "store", v->store.path);
	cof_json_set_str(o, "verdict", cof_verdict_name(r->verdict));
	cof_json_set_int(o, "exit_code", r->verdict);
	if (r->verdict != COF_NOT_AN_ARCHIVE) {
		cof_hex(r->conf.id, sizeof(r->conf.id), id);
		cof_base64(r->root, sizeof(r->root), root);
		cof_vkey_text(v->vkey_given ? &v->vkey : &r->conf.vkey, vkey);
		cof_json_set_str(o, "archive_id", id);
		cof_json_set_str(o, "vkey", vkey);
		cof_json_set_str(o, "vkey_source", source);
		cof_json_set_uint(o, "frames", r->frames);
		cof_json_set_uint(o, "bytes", r->bytes);
		cof_json_set_uint(o, "checkpoint_size", r->checkpoint_size);
		cof_json_set_str(o, "root", root);
		cof_json_set_uint(o, "tail", r->tail);
		if (r->since_size) {
			cof_json_set_uint(o, "since_checkpoint", r->since_size);
			cof_json_set_uint(o, "since", r->since);
		}
		cof_json_set_bool(o, "seal_checked", r->seal_checked);
		tell_seal_json(v, o);
		cof_json_set_uint(o, "mounts", r->mounts);
		cof_json_set_uint(o, "recoveries", r->recoveries);
		cof_json_set_bool(o, "people", v->judged.people);
		cof_json_set_uint(o, "requests", v->judged.requests);
		cof_json_set_uint(o, "not_permitted", v->judged.not_permitted);
		cof_json_set_uint(o, "stamps", r->stamps);
		cof_json_set_uint(o, "stamps_proven", r->stamps_proven);
		cof_json_set_uint(o, "cosignatures", r->cosigns);
		cof_json_set_uint(o, "cosignatures_proven", r->cosigns_proven);
		tell_vaults_json(v, o);
		if (r->stamps_proven || r->cosigns_proven) {
			cof_json_set_time(o, "proven_from", r->proven_from);
			cof_json_set_uint(o, "proven_frames", r->proven_frames);
			cof_json_set_uint(o, "too_early", r->too_early);
			cof_json_set_uint(o, "too_late", r->too_late);
		}
	}
	cof_json_set_bool(o, "live", v->live);
	if (v->holder[0])
		cof_json_set_str(o, "held_by", v->holder);
	cof_json_set(o, "findings", v->findings);
	v->findings = NULL;
	if (print_json(o, true) == -ENOMEM)
		complain("out of memory");
}

static void tell_finding(const struct cof_json *f)
{
	const char *file = cof_json_str(f, "file"), *text = cof_json_str(f, "text");
	bool note = cof_json_bool(f, "note");
	cof_autofree char *shown_file = file ? escaped(file) : NULL;
	cof_autofree char *shown = escaped(text ? text : "");
	int64_t v;

	printf("%s%s%s: ", colour(note ? DIM : RED), note ? "note" : cof_json_str(f, "verdict"),
	       colour(PLAIN));
	if (shown_file)
		printf("%s", shown_file);
	if (cof_json_int(f, "offset", &v) == 0)
		printf(" at offset %" PRId64, v);
	if (cof_json_int(f, "sequence", &v) == 0)
		printf("%sframe %" PRId64, shown_file ? ", " : "", v);
	if (cof_json_int(f, "object", &v) == 0)
		printf(", inode %" PRId64, v);
	printf(": %s\n", shown ? shown : "?");
}

static const char *meaning(enum cof_verdict v)
{
	switch (v) {
	case COF_INTACT:
		return "every byte is as it was written";
	case COF_UNSEALED:
		return "nothing is altered, but the last frames are not under a checkpoint yet";
	case COF_INCOMPLETE:
		return "something that can be made anew from the rest is missing or damaged";
	case COF_TRUNCATED:
		return "frames that were there are gone";
	case COF_TAMPERED:
		return "what is there is not what was written";
	case COF_WRONG_KEY:
		return "this is not the archive that the key or the auditor secret belongs to";
	case COF_NOT_AN_ARCHIVE:
		return "there is no archive that could be checked";
	default:
		return "it could not be checked";
	}
}

/* What others vouch for: that it was there, and when. */
static void tell_vaults(const struct verifying *v)
{
	for (unsigned i = 0; i < v->n_vaults; i++) {
		const struct verify_vault *e = &v->vault[i];
		const struct cof_cosign *c = &e->newest;
		cof_autofree char *place = escaped(*c->place ? c->place : "a place that it does not name");
		char when[32], root[48];

		cof_time_text(c->time, when);
		cof_base64(c->root, COF_HASH, root);
		printf("The first %" PRIu64 " frames with root %s existed at %s, says vault %s in %s%s%s%s.\n", c->size, root, when, c->vkey.name,
		       place ? place : "?", *c->jurisdiction ? " (" : "", c->jurisdiction, *c->jurisdiction ? ")" : "");
		if (!e->known)
			printf("  That key is the one that the archive itself names; give --vault-key with a copy to make it a proof.\n");
	}
}

/* Between which times all of it was written, as far as somebody else vouches for that. */
static void tell_times(const struct verifying *v)
{
	const struct cof_verified *r = &v->result;
	char from[32];

	tell_vaults(v);
	if (!r->stamps && !r->cosigns)
		printf("No proof bounds when it was written: %s no time stamp and no cosignature of a vault.\n",
		       r->since_size ? "the frames that were read hold" : "it has");
	else if (r->stamps && !r->stamps_proven)
		printf("%" PRIu64 " time stamp%s hold%s, by whoever signed: %s.\n", r->stamps, plural(r->stamps),
		       r->stamps == 1 ? "s" : "",
		       v->tsa_ca.len ? "nobody of them leads to --tsa-ca" : "give --tsa-ca to make them proofs");
	if (!r->stamps_proven && !r->cosigns_proven)
		return;
	cof_time_text(r->proven_from, from);
	if (r->cosigns_proven)
		printf("%" PRIu64 " cosignature%s of vaults whose keys were given %s: what is behind the newest proof is not older than %s.\n",
		       r->cosigns_proven, plural(r->cosigns_proven), r->cosigns_proven == 1 ? "is a proof" : "are proofs", from);
	if (!r->stamps_proven)
		return;
	printf("%" PRIu64 " of %" PRIu64 " time stamp%s %s proof%s: the first %" PRIu64
	       " frames were there when they were covered,\nwhat is behind the newest is not older than %s.\n",
	       r->stamps_proven, r->stamps, plural(r->stamps), r->stamps_proven == 1 ? "is a" : "are",
	       plural(r->stamps_proven), r->proven_frames, from);
}

static void tell_limits(const struct verifying *v)
{
	char vkey[COF_VKEY_MAX];

	if (v->result.since)
		printf("Only frames from %" PRIu64
		       " on were read. The ones before are those that the "
		       "checkpoint\ngiven with --since covers; their bytes were not looked at.\n",
		       v->result.since);
	cof_vkey_text(&v->result.conf.vkey, vkey);
	if (!v->vkey_given)
		printf("The verifier key came from the archive itself. Compare it with your copy, "
		       "or give "
		       "that\nwith --vkey:\n  %s\n",
		       vkey);
	if (!v->auditors.n)
		printf("Seals were not recomputed (no --auditor-key): who holds the signing key "
		       "could "
		       "have\nwritten another history.\n");
	else if (!v->result.seal_checked)
		printf("Seals could not be recomputed throughout: see above.\n");
}

void verify_tell_text(const struct verifying *v)
{
	const struct cof_verified *r = &v->result;
	cof_autofree char *shown = escaped(v->store.path), *holder = escaped(v->holder);
	char size[24];

	for (size_t i = 0; i < cof_json_count(v->findings); i++)
		tell_finding(cof_json_at(v->findings, i));
	cof_size_text(r->bytes, size);
	printf("%s%s%s: %s\n", colour(r->verdict == COF_INTACT ? GREEN : RED),
	       cof_verdict_name(r->verdict), colour(PLAIN),
	       v->anchor.decides && r->verdict == COF_INCOMPLETE
		   ? "the log is as it was written, but its end could not be compared with the anchor"
		   : meaning(r->verdict));
	if (r->verdict == COF_NOT_AN_ARCHIVE || (r->verdict == COF_WRONG_KEY && !r->frames))
		return;
	printf("%s: %" PRIu64 " frame%s, %s, %s%" PRIu64 "%s; %" PRIu32
	       " mount%s, %" PRIu32 " recover%s%s\n",
	       shown ? shown : "?", r->frames, plural(r->frames), size, r->since_size ? "behind the checkpoint given; the newest covers " : "",
	       r->checkpoint_size, r->since_size ? "" : " of them under the checkpoint", r->mounts,
	       plural(r->mounts), r->recoveries, r->recoveries == 1 ? "y" : "ies",
	       r->seal_broken ? "; not all seals hold" : r->seal_checked ? "; all seals hold" : "");
	if (v->live)
		printf("Checked beside its daemon (%s).\n", holder ? holder : "?");
	if (v->judged.people)
		printf("Judged by the people's signatures: %" PRIu64 " frame%s, %" PRIu64 " request%s; %" PRIu64 " not permitted.\n",
		       v->judged.frames, plural(v->judged.frames), v->judged.requests, plural(v->judged.requests),
		       v->judged.not_permitted);
	tell_times(v);
	tell_seal(v);
	tell_anchor(v);
	tell_limits(v);
}
