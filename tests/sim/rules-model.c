/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/rules-model.h"

#include <string.h>

/* alice, bob, carol, dave, erin, frank, gina */
const uint8_t rm_roles[RM_PERSONS] = {RM_OFFICER,    RM_OFFICER,	   RM_AUDITOR, RM_CUSTODIAN,
				      RM_OFFICER, RM_AUDITOR, RM_OPERATOR};

static unsigned bits(unsigned v)
{
	unsigned n = 0;

	for (; v; v &= v - 1)
		n++;
	return n;
}

/* ---- files ---- */

static bool gone(const struct rm *m, unsigned i)
{
	return i >= m->nodes || m->node[i].removed;
}

/* Until when it is kept, holds aside. */
static int64_t end(const struct rm_node *n)
{
	return n->waits ? RM_FOREVER : n->until;
}

bool rm_expired(const struct rm *m, const struct rm_node *n)
{
	return n->committed && !n->destroyed && !n->holds && end(n) <= m->now;
}

/* What was removed may be, committed before or not: holds and ends were asked then. */
bool rm_destroyable(const struct rm *m, const struct rm_node *n)
{
	return !n->dir && !n->destroyed && (n->removed || rm_expired(m, n));
}

int rm_create(struct rm *m, unsigned dir, bool is_dir)
{
	const struct rm_node *d = &m->node[dir];

	if (gone(m, dir))
		return -ENOENT;
	m->node[m->nodes++] = (struct rm_node){
	    .dir = is_dir, .shelf = d->shelf, .parent = (uint8_t)dir, .holds = d->holds, .until = RM_NONE, .binds = RM_NONE};
	return 0;
}

int rm_write(struct rm *m, unsigned i)
{
	if (m->node[i].committed)
		return -EPERM;
	m->node[i].content = true;
	return 0;
}

int rm_commit(struct rm *m, unsigned i, int64_t asked)
{
	struct rm_node *n = &m->node[i];
	const struct rm_policy *p = &m->policy[n->shelf];

	if (n->committed)
		return asked == RM_NONE ? 0 : rm_extend(m, i, asked);
	if (asked != RM_NONE && asked <= m->now)
		return -EINVAL;
	n->committed = true;
	n->until = asked == RM_NONE ? m->now + p->kept * RM_DAY : asked;
	n->governance = p->governance;
	n->binds = !p->governance && p->cooling ? m->now + p->cooling * RM_DAY : RM_NONE;
	n->waits = p->event;
	n->waits_for = 0;
	n->span = n->until - m->now;
	m->changes[i]++;
	return 0;
}

int rm_extend(struct rm *m, unsigned i, int64_t until)
{
	struct rm_node *n = &m->node[i];

	if (!n->committed)
		return -EINVAL;
	if (n->destroyed)
		return -EPERM;
	if (until == n->until)
		return 0;
	if (until < n->until)
		return -EPERM;
	if (until <= m->now)
		return -EINVAL;
	n->until = until;
	m->changes[i]++;
	return 0;
}

int rm_wait(struct rm *m, unsigned i, uint8_t event)
{
	struct rm_node *n = &m->node[i];

	if (!n->committed || n->destroyed)
		return -EINVAL;
	if (n->waits)
		return n->waits_for == event ? 0 : -EPERM;
	n->waits = true;
	n->waits_for = event;
	n->span = m->policy[n->shelf].kept * RM_DAY;
	m->changes[i]++;
	return 0;
}

int rm_unlink(struct rm *m, unsigned i)
{
	struct rm_node *n = &m->node[i];

	if (n->holds || n->committed || n->content)
		return -EPERM; /* also once it has expired: by request only */
	n->removed = true;
	return 0;
}

int rm_rename(struct rm *m, unsigned i, unsigned dir)
{
	struct rm_node *n = &m->node[i];

	if (n->named || n->committed)
		return -EPERM;
	if (n->shelf != m->node[dir].shelf)
		return -EXDEV;
	n->parent = (uint8_t)dir;
	n->holds |= m->node[dir].holds; /* what it has goes along */
	return 0;
}

/* ---- holds ---- */

static bool below(const struct rm *m, unsigned i, unsigned top)
{
	for (;; i = m->node[i].parent) {
		if (i == top)
			return true;
		if (i < RM_SHELVES)
			return false;
	}
}

int rm_hold(struct rm *m, const uint8_t *nodes, unsigned n)
{
	unsigned h = m->n_holds++;
	uint16_t bit = (uint16_t)(1u << h);

	m->holds |= bit;
	m->hold_shelves[h] = 0;
	for (unsigned k = 0; k < n; k++) {
		m->node[nodes[k]].named |= bit;
		m->hold_shelves[h] |= (uint16_t)(1u << m->node[nodes[k]].shelf);
		for (unsigned i = 0; i < m->nodes; i++) {
			if (m->node[i].removed || !below(m, i, nodes[k]))
				continue;
			if (!(m->node[i].holds & bit))
				m->changes[i]++;
			m->node[i].holds |= bit;
		}
	}
	return 0;
}

static void end_hold(struct rm *m, unsigned h)
{
	uint16_t others = (uint16_t)~(1u << h);

	m->holds &= others;
	for (unsigned i = 0; i < m->nodes; i++) {
		m->node[i].holds &= others;
		m->node[i].named &= others;
	}
}

/* ---- policies ---- */

static bool weaker(const struct rm_policy *old, const struct rm_policy *p)
{
	return p->kept < old->kept || (p->governance && !old->governance) || p->cooling > old->cooling ||
	       p->persons < old->persons;
}

int rm_set_policy(struct rm *m, unsigned shelf, const struct rm_policy *p)
{
	if (weaker(&m->policy[shelf], p))
		return -EPERM;
	m->policy[shelf] = *p;
	return 0;
}

/* ---- what is requested ---- */

static int possible_for(const struct rm *m, const struct rm_request *q, unsigned i)
{
	const struct rm_node *n = &m->node[i];
	bool early = (n->binds != RM_NONE && m->now < n->binds) ||
		     (n->governance && m->policy[n->shelf].governance);

	if (q->act == RM_DESTROY) /* twice is a mistake, too early an attempt */
		return rm_destroyable(m, n) ? 0 : n->destroyed ? -EINVAL : -EPERM;
	if (n->removed)
		return -ENOENT;
	if (!n->committed || n->destroyed)
		return -EINVAL;
	switch (q->act) {
	case RM_REMOVE:
		return rm_expired(m, n) ? 0 : -EPERM;
	case RM_RETENTION_END:
		return !early ? -EPERM : q->time >= end(n) ? -EINVAL : 0;
	default: /* what has not happened yet is not declared */
		return n->waits && n->waits_for == q->event && q->time <= m->now ? 0 : -EINVAL;
	}
}

int rm_possible(const struct rm *m, const struct rm_request *q)
{
	int r = 0;

	switch (q->act) {
	case RM_HOLD_END:
		return m->holds & (1u << q->object[0]) ? 0 : -EPERM;
	case RM_POLICY: /* what compliance promised nobody takes back */
		return (q->policy.governance && !m->policy[q->object[0]].governance) ||
				       (!m->policy[q->object[0]].governance &&
					q->policy.cooling > m->policy[q->object[0]].cooling)
			   ? -EPERM
			   : 0;
	case RM_PEOPLE:
		return 0;
	case RM_CATCH_UP: /* to the wall clock and no further */
		return q->time > m->wall + 5 * RM_SECOND || q->time <= m->now ? -EPERM : 0;
	default:
		for (unsigned k = 0; k < q->n && r == 0; k++)
			r = possible_for(m, q, q->object[k]);
		return r;
	}
}

static bool about_files(const struct rm_request *q)
{
	return q->act == RM_REMOVE || q->act == RM_DESTROY || q->act == RM_RETENTION_END || q->act == RM_EVENT;
}

void rm_remember(const struct rm *m, struct rm_request *q)
{
	for (unsigned k = 0; about_files(q) && k < q->n; k++) {
		const struct rm_node *n = &m->node[q->object[k]];

		q->before[k].until = n->until;
		q->before[k].holds = n->holds;
		q->before[k].waits = n->waits;
		q->before[k].removed = n->removed;
		q->before[k].changes = m->changes[q->object[k]];
	}
	if (q->act == RM_POLICY)
		q->policy_before = m->policy[q->object[0]];
	q->people_before = m->people;
}

/* What it was about is as it was: nothing happened to it in between, though it may look the same again. */
static bool unchanged(const struct rm *m, const struct rm_request *q)
{
	const struct rm_policy *p = &m->policy[q->act == RM_POLICY ? q->object[0] : 0], *b = &q->policy_before;

	if (q->act == RM_POLICY)
		return p->governance == b->governance && p->cooling == b->cooling && p->kept == b->kept &&
		       p->persons == b->persons;
	if (q->act == RM_PEOPLE)
		return m->people.present == q->people_before.present && m->people.revoked == q->people_before.revoked;
	for (unsigned k = 0; about_files(q) && k < q->n; k++) {
		const struct rm_node *n = &m->node[q->object[k]];

		if (n->removed != q->before[k].removed || n->until != q->before[k].until || bits(n->holds) != bits(q->before[k].holds) ||
		    m->changes[q->object[k]] != q->before[k].changes)
			return false;
	}
	return true;
}

static bool may_sign(const struct rm *m, unsigned who)
{
	return who < RM_PERSONS && (m->people.present & ~m->people.revoked & (1u << who));
}

/* By the fastest clock. */
static bool late(const struct rm *m, const struct rm_request *q)
{
	return (m->now > m->wall ? m->now : m->wall) >= q->expires;
}

static int find(const struct rm *m, const uint8_t id[32])
{
	for (unsigned i = 0; i < m->n_requests; i++)
		if (!memcmp(m->request[i].id, id, 32))
			return (int)i;
	return -1;
}

int rm_submit(struct rm *m, const struct rm_request *q, unsigned signer, bool good)
{
	struct rm_request *r = &m->request[m->n_requests];

	if (!good || signer != q->author || !may_sign(m, signer) || late(m, q) || find(m, q->id) >= 0 || q->too_few ||
	    !unchanged(m, q) || rm_possible(m, q) < 0)
		return -EPERM;
	*r = *q;
	r->state = RM_OPEN;
	r->signers = (uint8_t)(1u << signer);
	m->n_requests++;
	return 0;
}

static bool met(const struct rm *m, const struct rm_request *q, unsigned signers)
{
	unsigned persons = 2, want = 0, roles = 0;

	for (unsigned k = 0; (q->act == RM_REMOVE || q->act == RM_DESTROY) && k < q->n; k++)
		persons = m->policy[m->node[q->object[k]].shelf].persons > persons
			      ? m->policy[m->node[q->object[k]].shelf].persons
			      : persons;
	if (q->act == RM_REMOVE || q->act == RM_DESTROY)
		want = RM_AUDITOR;
	if (q->act == RM_CATCH_UP)
		want = RM_OFFICER;
	for (unsigned i = 0; i < RM_PERSONS; i++)
		roles |= signers & (1u << i) ? rm_roles[i] : 0u;
	return bits(signers) >= persons && (roles & want) == want;
}

static void change_people(struct rm *m, const struct rm_people *p)
{
	bool same = p->present == m->people.present && p->revoked == m->people.revoked;

	m->people = *p;
	for (unsigned i = 0; i < m->n_requests && !same; i++)
		if (m->request[i].state == RM_OPEN)
			m->request[i].state = RM_FAILED;
}

static void act(struct rm *m, const struct rm_request *q)
{
	for (unsigned k = 0; about_files(q) && k < q->n; k++) {
		struct rm_node *n = &m->node[q->object[k]];

		if (q->act == RM_REMOVE) {
			n->removed = true;
		} else if (q->act == RM_DESTROY) {
			n->destroyed = true;
		} else if (q->act == RM_RETENTION_END) {
			n->until = q->time;
		} else if (q->time + n->span > n->until) { /* the longest counts */
			n->until = q->time + n->span;
		}
		n->waits = false;
	}
	if (q->act == RM_HOLD_END)
		end_hold(m, q->object[0]);
	else if (q->act == RM_POLICY)
		m->policy[q->object[0]] = q->policy;
	else if (q->act == RM_PEOPLE)
		change_people(m, &q->people);
	else if (q->act == RM_CATCH_UP)
		m->now = q->time;
}

int rm_vote(struct rm *m, unsigned i, unsigned signer, bool approves, bool good)
{
	struct rm_request *q = &m->request[i];

	if (i >= m->n_requests)
		return -ENOENT;
	if (q->state != RM_OPEN || late(m, q) || !good || !may_sign(m, signer))
		return -EPERM;
	if (!approves) {
		q->state = RM_REFUSED;
		return 0;
	}
	if (q->signers & (1u << signer) || !unchanged(m, q) || rm_possible(m, q) < 0)
		return -EPERM;
	q->signers |= (uint8_t)(1u << signer);
	if (met(m, q, q->signers)) {
		q->state = RM_DONE;
		act(m, q);
	}
	return 0;
}
