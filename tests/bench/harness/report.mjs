/**
 * Medians over the rounds, and the tables that are printed. CPU time comes first: on a machine that does
 * other things as well, it and its ratios can be trusted, rates and latencies less.
 */

const THIRD = ["ws", "bun"];

function median(values) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    if (!sorted.length) return undefined;
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** One run of the load generator, in the names that the tables use. */
export function figures(mode, raw) {
    if (mode.memory === "socket") return {
        bytes: raw.bytes_per_conn, perSecond: raw.connects_per_s, idleCpu: raw.idle_cpu_pct,
        rssBefore: raw.rss_before_MB, rss: raw.rss_end_MB,
    };
    if (mode.memory === "room") return {
        bytes: raw.bytes_per_room, perSecond: raw.rooms_per_s, p99: raw.p99_us,
        rssBefore: raw.rss_before_MB, rss: raw.rss_after_MB,
    };
    const times = mode.times ?? 1;
    return {
        cpu: raw.cpu_s_per_M / times, user: (100 * raw.server_user_pct) / raw.server_cpu_pct,
        perSecond: raw[`${mode.operation}_per_s`] * times, p50: raw.p50_us, p99: raw.p99_us, load: raw.client_cpu_pct,
    };
}

/** What a run counted that a sound one does not count, as text. */
export function faults(raw) {
    return ["errors", "bad", "lost", "stalls", "close_timeouts", "other"]
        .filter((name) => raw[name] > 0).map((name) => `${name} ${raw[name]}`);
}

/** { peer: { figure: median } } of one mode's runs. */
export function medians(runs) {
    const result = {};
    for (const peer of new Set(runs.map((run) => run.peer))) {
        const mine = runs.filter((run) => run.peer === peer);
        result[peer] = Object.fromEntries(Object.keys(mine[0].figures)
            .map((name) => [name, median(mine.map((run) => run.figures[name]))]));
    }
    return result;
}

function digits3(value) {
    if (!Number.isFinite(value)) return "-";
    if (value >= 100) return Math.round(value).toLocaleString("en");
    return value.toPrecision(3);
}

function short(value) {
    if (!Number.isFinite(value)) return "-";
    if (value >= 1e6) return `${(value / 1e6).toPrecision(3)}M`;
    return value >= 1e4 ? `${Math.round(value / 1e3)}k` : String(Math.round(value));
}

function percent(value) {
    return Number.isFinite(value) ? `${Math.round(value)} %` : "-";
}

function ratio(of, to) {
    if (!Number.isFinite(of) || !(to > 0)) return "-";
    return (of / to).toFixed(of / to < 0.1 ? 3 : 2);
}

function columns(mode, all) {
    const before = all.before ? ["before"] : [];
    const others = mode.storage ? before : [...THIRD, ...(all.festa2 ? ["festa"] : []), ...before];
    const against = (name, title) => others.map((other) => [
        `${title} ÷ ${other}`, (row, all) => ratio(row[name], all[other]?.[name]),
    ]);
    const memory = [
        [`bytes/${mode.memory}`, (row) => digits3(row.bytes)],
        [`${mode.memory}s/s`, (row) => short(row.perSecond)],
        ["MB before", (row) => digits3(row.rssBefore)],
        ["MB after", (row) => digits3(row.rss)],
        mode.memory === "room"
            ? ["p99 µs", (row) => digits3(row.p99)]
            : ["idle CPU", (row) => percent(row.idleCpu)],
        ...against("bytes", "bytes"),
    ];
    const load = [
        ["CPU µs/op", (row) => digits3(row.cpu)],
        [`${mode.times ? "operations" : mode.operation}/s`, (row) => short(row.perSecond)],
        ["p50 µs", (row) => digits3(row.p50)],
        ["p99 µs", (row) => digits3(row.p99)],
        ...against("cpu", "CPU"),
        ...(mode.storage?.writers ? [
            ["rate ÷ sqlite", (row, all) => ratio(row.perSecond, all.sqlite?.perSecond)],
            ["p50 ÷ sqlite", (row, all) => ratio(row.p50, all.sqlite?.p50)],
        ] : []),
        ["user", (row) => percent(row.user)],
        ["load core", (row) => percent(row.load)],
    ];
    return [["", (_row, _all, peer) => peer], ...(mode.memory ? memory : load)];
}

function table(head, rows) {
    const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
    const pad = (cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]));
    return [head, ...rows].map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** The table of one mode; `faulty` are lines about runs that were not sound. */
export function modeTable(name, mode, all, faulty) {
    const cells = columns(mode, all);
    const rows = Object.entries(all).map(([peer, row]) => cells.map(([, cell]) => cell(row, all, peer)));
    const head = cells.map(([title]) => title);
    return [`${name}: ${mode.title}`, table(head, rows), ...faulty.map((line) => `  ${line}`)].join("\n");
}

/** Festa's cost in each mode as a multiple of the others', or null if Festa was not measured. */
export function summary(modes, results) {
    const others = ["floor", ...THIRD];
    const rows = Object.entries(results).filter(([name, all]) => all.festa && !modes[name].storage).map(([name, all]) => {
        const figure = modes[name].memory ? "bytes" : "cpu";
        const mine = all.festa[figure];
        return [name, digits3(mine), ...others.map((other) => ratio(mine, all[other]?.[figure]))];
    });
    if (!rows.length) return null;
    const head = ["", "festa", ...others.map((other) => `÷ ${other}`)];
    const title = "Festa: CPU µs per operation (idle, rooms: bytes), and as a multiple of the others'";
    return `${title}\n${table(head, rows)}`;
}
