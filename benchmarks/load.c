/* load: a keep-alive HTTP/1.1 client with a fixed number of requests; prints one line of JSON.
 *
 *   load PORT CONNECTIONS REQUESTS SKIPPED FIRST STEP FILE
 *
 * FILE holds the request, head and body. Its twelve @ are replaced by a number that begins at FIRST and
 * rises by STEP with each request (0: all are the same). The next request goes out when the answer before
 * it on the same connection is whole. The first SKIPPED answers of a connection are not timed.
 *
 * Anything but a whole 200 on a connection that stays open voids the run: exit code 1, the reason on stderr.
 * Times: answers from before the send to the last byte; of a stream also to the first event, and each
 * event's age on arrival (its content is the upstream's monotonic clock).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 512, READ_BYTES = 64 * 1024, HEAD_BYTES = 16 * 1024, EVENT_BYTES = 16 * 1024, SILENCE_MS = 20000 };
typedef enum { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, LAST_LINE } Place;

typedef struct {
    int fd, answers;
    char *request;
    int sent;
    long sent_at;
    Place place;
    long left; /* bytes of the body or the chunk */
    int stream, done, events;
    char head[HEAD_BYTES], event[EVENT_BYTES];
    int head_bytes, event_bytes;
} Connection;

typedef struct {
    long *at, n, room;
} Times;

static Connection connections[MAX_CONNECTIONS];
static Times whole, first, ages;
static long requests, begun, ended, number, step, skipped, events;
static char *template;
static int template_bytes, poller;

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void void_run(const char *why, const char *detail) {
    fprintf(stderr, "%s %.200s\n", why, detail);
    exit(1);
}

static void add(Times *times, long ns) {
    if (times->n == times->room) {
        times->room = times->room ? 2 * times->room : 4096;
        times->at = realloc(times->at, times->room * sizeof(long));
    }
    times->at[times->n++] = ns;
}

static int by_size(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

/* Prints the median, p90, p99 and maximum in us as `"name":{…}`. */
static void print_times(const char *name, Times *times) {
    if (!times->n) return;
    qsort(times->at, times->n, sizeof(long), by_size);
    printf(",\"%s_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
           times->at[times->n / 2] / 1e3, times->at[times->n * 90 / 100] / 1e3,
           times->at[times->n * 99 / 100] / 1e3, times->at[times->n - 1] / 1e3);
}

static void watch(Connection *c, int how, unsigned what) {
    struct epoll_event event = {.events = what, .data.ptr = c};
    epoll_ctl(poller, how, c->fd, &event);
}

static void send_rest(Connection *c) {
    while (c->sent < template_bytes) {
        ssize_t n = send(c->fd, c->request + c->sent, template_bytes - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
        if (n < 0) void_run("send:", strerror(errno));
        c->sent += n;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin(Connection *c) {
    if (begun == requests) return watch(c, EPOLL_CTL_MOD, 0);
    begun++;
    char *hole = strstr(c->request, "@@@@@@@@@@@@"), digits[16];
    static long offset = -1; /* the same in every copy of the template */
    if (offset < 0) offset = hole ? hole - c->request : -2;
    if (offset >= 0) {
        sprintf(digits, "%012ld", number % 1000000000000L);
        memcpy(c->request + offset, digits, 12);
        number += step;
    }
    c->sent = c->head_bytes = c->event_bytes = c->done = c->events = 0;
    c->place = HEAD;
    c->sent_at = now_ns();
    send_rest(c);
}

static void on_event(Connection *c, long now) {
    static const char content[] = "\"content\":\"";
    c->event[c->event_bytes] = 0;
    if (strstr(c->event, "data: [DONE]")) {
        c->done = 1;
        return;
    }
    if (strstr(c->event, "\"error\"")) void_run("the stream failed:", c->event);
    if (c->events++ == 0 && c->answers >= skipped) add(&first, now - c->sent_at);
    char *stamp = strstr(c->event, content);
    if (!stamp) return;
    events++;
    if (c->answers >= skipped) add(&ages, now - atol(stamp + sizeof content - 1));
}

static void on_body(Connection *c, const char *bytes, long n, long now) {
    if (!c->stream) return;
    for (long i = 0; i < n; i++) {
        if (c->event_bytes == EVENT_BYTES - 1) void_run("an event is too large", "");
        c->event[c->event_bytes++] = bytes[i];
        if (bytes[i] == '\n' && c->event_bytes > 1 && c->event[c->event_bytes - 2] == '\n') {
            on_event(c, now);
            c->event_bytes = 0;
        }
    }
}

static void on_end(Connection *c, long now) {
    if (c->stream && !c->done) void_run("the stream ended without [DONE]", "");
    if (c->answers >= skipped) add(&whole, now - c->sent_at);
    c->answers++;
    ended++;
    begin(c);
}

static void on_head(Connection *c, long now) {
    c->head[c->head_bytes] = 0;
    if (strncmp(c->head, "HTTP/1.1 200", 12)) void_run("answered", c->head);
    if (strcasestr(c->head, "\r\nconnection: close")) void_run("the connection is not kept:", c->head);
    c->stream = strcasestr(c->head, "\r\ncontent-type: text/event-stream") != NULL;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) c->place = CHUNK_SIZE;
    else if (length) c->place = LENGTH;
    else void_run("no length:", c->head);
    c->left = c->place == LENGTH ? atol(length + 17) : 0;
    c->head_bytes = 0;
    if (c->place == LENGTH && c->left == 0) on_end(c, now);
}

/* Collects a line of the chunked form; 1 when it is whole. Lines of sizes share the head's buffer. */
static int line_is_whole(Connection *c, char byte) {
    if (c->head_bytes == HEAD_BYTES - 1) void_run("a head or line is too long", "");
    c->head[c->head_bytes++] = byte;
    c->head[c->head_bytes] = 0;
    return byte == '\n';
}

static void on_line(Connection *c, long now) {
    int empty = !strcmp(c->head, "\r\n");
    long size = strtol(c->head, NULL, 16);
    c->head_bytes = 0;
    if (c->place == CHUNK_SIZE) {
        c->left = size;
        c->place = size ? CHUNK_DATA : LAST_LINE;
    } else if (c->place == CHUNK_END) {
        c->place = CHUNK_SIZE;
    } else if (empty) {
        on_end(c, now);
    }
}

static void take(Connection *c, const char *bytes, long n, long now) {
    while (n > 0) {
        if (c->place == LENGTH || c->place == CHUNK_DATA) {
            long part = n < c->left ? n : c->left;
            on_body(c, bytes, part, now);
            bytes += part, n -= part, c->left -= part;
            if (c->left) return;
            if (c->place == LENGTH) on_end(c, now);
            else c->place = CHUNK_END;
            continue;
        }
        int whole_line = line_is_whole(c, *bytes++);
        n--;
        if (c->place != HEAD && whole_line) on_line(c, now);
        else if (whole_line && c->head_bytes > 3 && !memcmp(c->head + c->head_bytes - 4, "\r\n\r\n", 4)) on_head(c, now);
    }
}

static void connect_all(int port, int count) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    for (Connection *c = connections; c < connections + count; c++) {
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) void_run("connect:", strerror(errno));
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        c->request = strdup(template);
        watch(c, EPOLL_CTL_ADD, 0);
    }
}

static void read_template(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) void_run(path, strerror(errno));
    template = calloc(1, 1 << 20);
    template_bytes = (int)fread(template, 1, (1 << 20) - 1, file);
    fclose(file);
}

static void run(void) {
    static char bytes[READ_BYTES];
    struct epoll_event ready[256];
    while (ended < requests) {
        int n = epoll_wait(poller, ready, 256, SILENCE_MS);
        if (n == 0) void_run("no answer for 20 s", "");
        for (int i = 0; i < n; i++) {
            Connection *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT) send_rest(c);
            if (!(ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
            ssize_t got = recv(c->fd, bytes, READ_BYTES, 0);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) void_run("the connection was lost:", got ? strerror(errno) : "closed");
            take(c, bytes, got, now_ns());
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 8) void_run("usage: load PORT CONNECTIONS REQUESTS SKIPPED FIRST STEP FILE", "");
    int count = atoi(argv[2]);
    requests = atol(argv[3]), skipped = atol(argv[4]), number = atol(argv[5]), step = atol(argv[6]);
    if (count < 1 || count > MAX_CONNECTIONS || requests < count) void_run("too few requests or too many connections", "");
    signal(SIGPIPE, SIG_IGN);
    read_template(argv[7]);
    poller = epoll_create1(0);
    connect_all(atoi(argv[1]), count);
    long from = now_ns();
    for (Connection *c = connections; c < connections + count; c++) begin(c);
    run();
    double seconds = (now_ns() - from) / 1e9;
    printf("{\"requests\":%ld,\"seconds\":%.6f,\"events\":%ld", ended, seconds, events);
    print_times("answer", &whole);
    print_times("first_event", &first);
    print_times("event_age", &ages);
    printf("}\n");
    return 0;
}
