/* ── Rows of a table ─────────────────────────────────────────────────────────────────────────── */

/* A column: the texts that it knows, if it is not one of numbers; how many numbers a cell becomes;
   and which numbers a missing cell becomes, if it is not refused. */
typedef struct {
    const char *name;
    const char *const *categories;
    int n_categories;
    int width;
    const double *missing;
} Column;

@COLUMNS@

/* Make numbers of the cells of a row, in the order of COLUMNS. Returns 0, or else the number of the
   first column, from 1 on, with a cell that is no number, no known category, or missing. */
int encode(const char *const *cells, double *row)
{
    for (int i = 0; i < N_COLUMNS; i++) {
        const Column *column = &COLUMNS[i];
        const char *cell = cells[i];
        const int missing = !*cell || !strcmp(cell, "NA");
        int known = 0;
        for (int j = 0; j < column->width; j++)
            row[j] = missing && column->missing ? column->missing[j] : 0;
        if (missing) {
            known = column->missing != NULL;
        } else if (column->categories) {
            for (int j = 0; j < column->n_categories; j++)
                if (!strcmp(cell, column->categories[j])) {
                    row[j] = 1;
                    known = 1;
                }
        } else {
            char *end;
            row[0] = strtod(cell, &end);
            known = !*end && cell[strspn(cell, "0123456789+-.eE")] == 0 && isfinite(row[0]);
        }
        if (!known)
            return i + 1;
        row += column->width;
    }
    return 0;
}

#ifndef NO_MAIN

/* One row of a CSV file: its cells, one behind the other in a text. */
typedef struct {
    char *text;
    size_t length, room;
    const char **cells;
    size_t n_cells, room_for_cells;
    long line, next_line; /* on which the row begins, and the one behind it */
} Row;

static void fail(const char *message, long line)
{
    fprintf(stderr, "line %ld: %s\n", line, message);
    exit(2);
}

static void add(Row *row, char c)
{
    if (row->length == row->room) {
        row->room = 2 * row->room + 256;
        row->text = realloc(row->text, row->room);
        if (!row->text)
            fail("not enough memory", row->line);
    }
    row->text[row->length++] = c;
}

/* Let each cell begin where the one before has ended, without the spaces around it. */
static void split(Row *row, size_t n_cells)
{
    if (n_cells > row->room_for_cells) {
        row->room_for_cells = n_cells;
        row->cells = realloc(row->cells, n_cells * sizeof *row->cells);
        if (!row->cells)
            fail("not enough memory", row->line);
    }
    row->n_cells = n_cells;
    char *cell = row->text;
    for (size_t i = 0; i < n_cells; i++) {
        char *end = cell + strlen(cell), *last = end;
        while (last > cell && strchr(" \t", last[-1]))
            *--last = 0;
        row->cells[i] = cell + strspn(cell, " \t");
        cell = end + 1;
    }
}

/* Read a row that is not empty from stdin; returns 0 at the end. */
static int read_row(Row *row)
{
    int c = getchar(), quoted = 0;
    for (; c == '\n' || c == '\r'; c = getchar())
        row->next_line += c == '\n';
    if (c == EOF)
        return 0;
    size_t n_cells = 1;
    row->length = 0;
    row->line = row->next_line;
    for (; c != EOF && (quoted || (c != '\n' && c != '\r')); c = getchar()) {
        row->next_line += c == '\n';
        if (quoted && c == '"') {
            c = getchar();
            if (c != '"') {
                quoted = 0;
                ungetc(c, stdin);
                continue;
            }
        } else if (!quoted && c == '"') {
            quoted = 1;
            continue;
        } else if (!quoted && c == ',') {
            c = 0;
            n_cells++;
        }
        add(row, (char)c);
    }
    row->next_line += c == '\n';
    if (quoted)
        fail("a quote that does not end", row->line);
    add(row, 0);
    split(row, n_cells);
    return 1;
}

/* Print a cell, in quotes if it needs them. */
static void print_cell(const char *prefix, const char *cell)
{
    if (!strpbrk(cell, ",\"\n\r")) {
        printf("%s%s", prefix, cell);
        return;
    }
    printf("\"%s", prefix);
    for (; *cell; cell++) {
        if (*cell == '"')
            putchar('"');
        putchar(*cell);
    }
    putchar('"');
}

/* Read a CSV file with a header from stdin; print the class of each row, and the probabilities. */
int main(void)
{
    static Row row = {.next_line = 1};
    static size_t place[N_COLUMNS];
    static const char *cells[N_COLUMNS];
    static double numbers[N_FEATURES], probabilities[N_CLASSES];
    int c = getchar();
    if (c == 0xEF) { /* the mark with which some editors begin a text in UTF-8 */
        getchar();
        c = getchar();
    }
    ungetc(c, stdin);
    if (!read_row(&row))
        fail("expected a header with the names of the columns", 1);
    const size_t n_cells = row.n_cells;
    for (int i = 0; i < N_COLUMNS; i++) {
        for (place[i] = 0; place[i] < n_cells; place[i]++)
            if (!strcmp(row.cells[place[i]], COLUMNS[i].name))
                break;
        if (place[i] == n_cells) {
            fprintf(stderr, "no column %s\n", COLUMNS[i].name);
            return 2;
        }
    }
    printf("prediction");
    for (int i = 0; i < N_CLASSES; i++) {
        putchar(',');
        print_cell("p_", CLASSES[i]);
    }
    putchar('\n');
    while (read_row(&row)) {
        if (row.n_cells != n_cells)
            fail("another number of cells than in the header", row.line);
        for (int i = 0; i < N_COLUMNS; i++)
            cells[i] = row.cells[place[i]];
        const int wrong = encode(cells, numbers);
        if (wrong) {
            fprintf(stderr, "line %ld, column %s: %s\n", row.line, COLUMNS[wrong - 1].name,
                    *cells[wrong - 1] ? cells[wrong - 1] : "missing");
            return 2;
        }
        predict(numbers, probabilities);
        int best = 0;
        for (int i = 1; i < N_CLASSES; i++)
            if (probabilities[i] > probabilities[best])
                best = i;
        print_cell("", CLASSES[best]);
        for (int i = 0; i < N_CLASSES; i++)
            printf(",%.6g", probabilities[i]);
        putchar('\n');
    }
    return 0;
}

#endif
