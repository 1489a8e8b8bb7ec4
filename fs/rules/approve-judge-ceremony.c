/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on CEREMONY frames: the transcript is of this archive, whole, and in the chain once; each signature in it is that of
 * the person it names, for this ceremony at this point; an auditor was there, and two others confirmed each step.
 */
#include "fs/rules/approve-judge.h"
#include "fs/rules/ceremony.h"

#include "crypto/crypto.h"

#include <stdio.h>

struct judging {
	struct cof_judge *j;
	const struct cof_judge_frame *f;
	const struct cof_people *people;
	const struct cof_ceremony *c;
	uint8_t key[COF_CEREMONY_ROLL][32]; /* of those who answered the roll call */
	bool auditor[COF_CEREMONY_ROLL];
	size_t trusted;
};

/* The statement of that line, as it was signed there. */
static int statement(const struct cof_ceremony *c, size_t i, struct cof_buf *ret)
{
	struct cof_ceremony then = *c;

	then.n_lines = i;
	return cof_ceremony_statement(&then, c->line[i].what, c->roll[c->line[i].person], ret);
}

static int judge_one(struct judging *w, size_t i, struct cof_judgement *ret)
{
	const struct cof_ceremony_line *l = &w->c->line[i];
	const char *armored = cof_json_str(l->o, "signature");
	struct judge_signature s = {.armored = armored, .n = strlen(armored)};
	cof_autobuf struct cof_buf text = {0};
	struct cof_judge_frame f = *w->f;
	int r = statement(w->c, i, &text);

	f.trusted |= i < w->trusted;
	memcpy(s.principal, w->c->roll[l->person], sizeof(s.principal));
	if (r == 0)
		r = judge_signature(w->j, &f, w->people, cof_ceremony_purpose(w->c), text.data, text.len, &s, ret);
	if (r < 0)
		return r;
	if (l->what == COF_CER_PRESENT) {
		for (unsigned k = 0; k < w->c->n_roll; k++)
			if (k != l->person && !memcmp(w->key[k], s.info.key, 32))
				return judge_no(ret, "same-key", "%s and %s signed with the same key", w->c->roll[k], s.principal);
		memcpy(w->key[l->person], s.info.key, 32);
		w->auditor[l->person] = !s.person || (s.person->roles & COF_ROLE_AUDITOR);
	} else if (memcmp(w->key[l->person], s.info.key, 32) != 0) {
		return judge_no(ret, "same-key", "%s signed with another key than in the roll call", s.principal);
	}
	if (l->what == COF_CER_AGREED && w->auditor[l->person])
		return judge_no(ret, "role", "%s is auditor: who watches confirms no step", s.principal);
	return 0;
}

/* That the share which was destroyed had been there, and signed for this: as escrow/proof.h has it. */
static int judge_proof(const struct cof_ceremony *c, const struct cof_ceremony_line *l, struct cof_judgement *ret)
{
	char challenge[COF_CEREMONY_CHALLENGE] = "";
	const char *proof = cof_json_str(l->o, "proof");
	uint8_t key[32], signature[66];
	char message[128];
	size_t n = 0;
	int len = snprintf(message, sizeof(message), "coffer/1 share proof\n%s\n", cof_json_str(l->o, "challenge"));
	int r = cof_ceremony_bound(l) ? cof_ceremony_challenge(c, l->number, challenge) : 0;

	if (*challenge && strcmp(challenge, cof_json_str(l->o, "challenge")) != 0)
		return judge_no(ret, "wrong-proof", "the proof that share %u was there was not made for this ceremony", l->number + 1);
	if (r == 0)
		r = cof_unhex(cof_json_str(l->o, "commitment"), 64, key);
	if (r == 0)
		r = cof_unbase64(proof, strlen(proof), signature, sizeof(signature), &n);
	if (r == 0 && n == 64)
		r = cof_ed25519_verify(key, message, (size_t)len, signature);
	return r < 0 || n != 64 ? judge_no(ret, "wrong-proof", "the proof that share %u was there does not hold", l->number + 1) : 0;
}

static int judge_roll(const struct judging *w, struct cof_judgement *ret)
{
	unsigned auditors = 0, others = 0;

	for (unsigned i = 0; i < w->c->n_roll; i++) {
		auditors += w->c->present[i] && w->auditor[i];
		others += w->c->present[i] && !w->auditor[i];
	}
	if (!auditors)
		return judge_no(ret, "no-auditor", "no auditor answered the roll call");
	return others < 2 ? judge_no(ret, "too-few", "fewer than two besides the auditor answered the roll call") : 0;
}

static int judge_text(struct judging *w, bool whole, struct cof_judgement *ret)
{
	cof_autobuf struct cof_buf missing = {0};
	bool rolled = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->c->n_lines; i++) {
		enum cof_ceremony_what what = w->c->line[i].what;

		if (what == COF_CER_PRESENT || what == COF_CER_AGREED || what == COF_CER_SIGNED)
			r = judge_one(w, i, ret);
		else if (what == COF_CER_DESTROYED)
			r = judge_proof(w->c, &w->c->line[i], ret);
		else if (what == COF_CER_TOLD && !rolled)
			r = judge_roll(w, ret);
		rolled |= what == COF_CER_TOLD;
	}
	if (r < 0 || !whole || w->c->complete)
		return r;
	cof_ceremony_missing(w->c, &missing);
	return judge_no(ret, "incomplete", "the ceremony is not complete: %s", missing.data ? (char *)missing.data : "");
}

int cof_ceremony_judge(const struct cof_ceremony *c, const struct cof_ceremony_judging *p, struct cof_judgement *ret)
{
	struct cof_judge j = {.p = {.verify = p->verify, .verify_user = p->verify_user}};
	struct cof_judge_frame f = {.record_time = p->time, .retention_time = p->time, .proven_from = INT64_MIN};
	struct judging w = {.j = &j, .f = &f, .people = p->people, .c = c, .trusted = p->trusted};

	memset(ret, 0, sizeof(*ret));
	return judge_text(&w, p->whole, ret);
}

/* ---- the frame ---- */

static bool same_fields(const struct cof_judge_frame *f, const struct cof_ceremony *c)
{
	uint8_t id[32], kind = 0, flags = 0xff;

	return cof_field_bytes(f->fields, f->n, COF_T_CEREMONY_ID, id, sizeof(id)) == 0 && !memcmp(id, c->id, sizeof(id)) &&
	       cof_field_u8(f->fields, f->n, COF_T_CEREMONY_KIND, &kind) == 0 && kind == (uint8_t)c->kind &&
	       cof_field_u8(f->fields, f->n, COF_T_CEREMONY_FLAGS, &flags) == 0 &&
	       flags == ((c->rehearsal ? COF_CEREMONY_REHEARSAL : 0) | (c->abandoned ? COF_CEREMONY_ABANDONED : 0));
}

static int keep(struct cof_judge *j, const struct cof_ceremony *c)
{
	struct judged_ceremony *more = realloc(j->ceremony, (j->n_ceremonies + 1) * sizeof(*more)), *v;
	const char *document = cof_ceremony_made(c);

	if (!more)
		return -ENOMEM;
	j->ceremony = more;
	v = &more[j->n_ceremonies++];
	*v = (struct judged_ceremony){.epoch = c->epoch, .rehearsal = c->rehearsal};
	memcpy(v->id, c->id, sizeof(v->id));
	memcpy(v->epoch_key, c->epoch_key, sizeof(v->epoch_key));
	v->made = document && cof_unhex(document, 64, v->document) == 0;
	return 0;
}

int cof_judge_made(const struct cof_judge *j, uint32_t number, const uint8_t key[32], const uint8_t *document, struct cof_judgement *ret)
{
	bool rehearsed = false, other = false;

	if (!j->profile.escrow_ceremony)
		return 0;
	for (size_t i = 0; i < j->n_ceremonies; i++) {
		const struct judged_ceremony *c = &j->ceremony[i];
		bool same = !document || (c->epoch == number && !memcmp(c->document, document, sizeof(c->document)));

		if (!c->made || memcmp(c->epoch_key, key, sizeof(c->epoch_key)) != 0)
			continue;
		if (!c->rehearsal && same)
			return 0;
		rehearsed |= c->rehearsal;
		other |= !c->rehearsal;
	}
	if (other)
		return judge_no(ret, "other-document", "the ceremony that made the secret of epoch %u made another document: that one is accepted", number);
	if (rehearsed)
		return judge_no(ret, "rehearsal", "the ceremony that made epoch %u was a rehearsal: nothing else comes of it", number);
	return judge_no(ret, "no-ceremony", "the policy asks for a ceremony (escrow_ceremony), and none that made epoch %u is on record: hold one, "
					    "and bring its transcript (coffer ceremony submit)", number);
}

static int judge_frame(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_ceremony *c, struct cof_judgement *ret)
{
	struct judging w = {.j = j, .f = f, .people = &j->people, .c = c};

	if (!same_fields(f, c))
		return judge_no(ret, "malformed", "a ceremony's frame says other things than its transcript");
	if (c->has_archive && memcmp(c->archive, j->p.archive_id, sizeof(c->archive)) != 0)
		return judge_no(ret, "wrong-archive", "this ceremony was held for another archive");
	if (!j->has_people)
		return judge_no(ret, "no-people", "a ceremony was signed where nobody is enrolled");
	for (size_t i = 0; i < j->n_ceremonies; i++)
		if (!memcmp(j->ceremony[i].id, c->id, 32))
			return judge_no(ret, "replay", "this ceremony is in the chain already");
	return judge_text(&w, true, ret);
}

int judge_ceremony(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct cof_field text;
	struct cof_ceremony c;
	struct cof_diag why = {""};
	int r;

	if (cof_field_find(f->fields, f->n, COF_T_CEREMONY, &text) < 0)
		return judge_no(ret, "malformed", "a ceremony's frame has no transcript");
	r = cof_ceremony_parse(text.value, text.len, &c, &why);
	if (r == -ENOMEM) {
		cof_ceremony_done(&c);
		return r;
	}
	r = r < 0 ? judge_no(ret, "altered", "the transcript does not hold together: %s", why.text) : judge_frame(j, f, &c, ret);
	if (r == 0 && apply)
		r = keep(j, &c);
	cof_ceremony_done(&c);
	return r;
}
