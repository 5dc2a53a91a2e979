/* Answers requests whose URL names no room: with a file of public/, or with what a project has for URLs that
 * name nothing. Called by http_conn.c; answers through the request's exchange. */
#pragma once

#include "edge/edge.h"

/* Takes the request over. Answers now or later, as any exchange is answered. */
void static_serve(struct edge *edge, struct http_request *request, struct exchange *exchange);
