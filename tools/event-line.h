/* SPDX-License-Identifier: Apache-2.0 */
/* Events (docs/format.md 4.1) as lines: for people, and as messages of syslog. Pure. */
#ifndef COFFER_EVENT_LINE_H
#define COFFER_EVENT_LINE_H

#include "base/json.h"

void event_line(const struct cof_json *event, struct cof_buf *b);
/* One message of RFC 5424 and a newline. host: where no event says so; what is no host name becomes "-". */
void event_syslog(const struct cof_json *event, const char *host, const char *archive_id, struct cof_buf *b);

#endif
