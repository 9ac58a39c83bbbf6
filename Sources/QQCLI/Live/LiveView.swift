import QQCore

/// The live view of `qq watch`: a row for each election, a strip that shows who led when, and the last changes. Pure: turns states and
/// events into lines.
struct LiveView: Sendable {
    /// Text in one colour.
    struct Span: Sendable, Equatable {
        var text: String
        var color: Output.Color?

        init(_ text: String, _ color: Output.Color? = nil) {
            self.text = text
            self.color = color
        }
    }

    typealias Line = [Span]

    /// The leader from a moment until the next entry.
    private struct Reign: Sendable {
        let leader: String?
        let since: BootInstant
    }

    private struct Row: Sendable {
        let name: String
        var state: ElectionState?
        var seenAt: BootInstant = .distantFuture
        var reigns: [Reign] = []
    }

    /// An entry of the list of changes.
    private enum Past: Sendable {
        case change(time: String, name: String, word: String, leader: String?, token: FencingToken?, isGood: Bool)
        case note(time: String, text: String)
    }

    /// The characters of bars and strips.
    private struct Glyphs: Sendable {
        var full = "█"
        var empty = "░"
        var nobody: Character = "·"
        /// Replaces text that does not fit.
        var more: Character = "…"
    }

    private let server: String
    private let glyphs: Glyphs
    private var rows: [Row]
    /// The letter of each leader in the strips, from its first term on.
    private var letters: [String: Character] = [:]
    private var lettersGiven = 0
    private var past: [Past] = []
    /// The current problem of the connection, shown below the title.
    var notice: String?

    /// The time span of the strips.
    static let reach: Duration = .seconds(600)
    private static let kept = 200

    /// - Parameters:
    ///   - server: the server, as the first line shows it.
    ///   - isUnicode: whether the terminal can show more than ASCII.
    init(_ names: [String], at server: String, isUnicode: Bool = true) {
        self.server = server
        glyphs = isUnicode ? Glyphs() : Glyphs(full: "#", empty: "-", nobody: ".", more: "~")
        rows = names.map { Row(name: $0) }
    }

    /// Records the current state of an election.
    /// - Parameters:
    ///   - word: the name of the change; nil for the first state and for a renewal, which are not listed as changes.
    ///   - time: the time of day, as text to show.
    mutating func update(_ state: ElectionState, word: String?, time: String, at now: BootInstant) {
        guard let index = rows.firstIndex(where: { $0.name == state.name }) else { return }
        rows[index].state = state
        rows[index].seenAt = now
        let leader = state.isLed ? state.leader : nil
        if rows[index].reigns.last.map({ $0.leader != leader }) ?? true { rows[index].reigns.append(Reign(leader: leader, since: now)) }
        if let leader, letters[leader] == nil { give(leader) }
        // Forget the leaders before the start of the strip.
        while rows[index].reigns.count > 1, rows[index].reigns[1].since < now - Self.reach { rows[index].reigns.removeFirst() }
        guard let word else { return }
        keep(.change(time: time, name: state.name, word: word, leader: leader, token: state.token, isGood: state.isLed))
    }

    private mutating func give(_ leader: String) {
        // A view can be open for months. Forget the leaders that the strips no longer show.
        if letters.count >= Self.kept {
            let shown = Set(rows.flatMap(\.reigns).compactMap(\.leader))
            letters = letters.filter { shown.contains($0.key) }
        }
        letters[leader] = Character(Unicode.Scalar(UInt8(ascii: "A") + UInt8(lettersGiven % 26)))
        lettersGiven += 1
    }

    /// Adds a message to the list of changes.
    mutating func note(_ text: String, time: String) {
        for line in text.split(separator: "\n") {
            keep(.note(time: time, text: line.hasPrefix("qq: ") ? String(line.dropFirst(4)) : String(line)))
        }
    }

    private mutating func keep(_ one: Past) {
        past.append(one)
        if past.count > Self.kept { past.removeFirst(past.count - Self.kept) }
    }

    // MARK: Drawing

    /// The lines of the whole view, cut to the size of the terminal.
    func frame(width: Int, height: Int, at now: BootInstant) -> [Line] {
        let width = max(width, 20)
        var lines: [Line] = [[Span("qq watch", .strong), Span("  " + Printable.text(server) + "  (q leaves)", .faint)]]
        if let notice { lines.append([Span(Printable.text(notice), .warning)]) }
        lines.append([])
        lines += table(width, now)
        lines.append([])
        let strips = strips(width, now)
        // If there is not enough room, show the list of changes rather than the strips.
        let room = height - lines.count - 1
        if room > strips.count + 4 {
            lines += strips
            lines.append([])
        }
        let left = height - lines.count - 1
        if left > 0 { lines += past.suffix(left).reversed().map { line(of: $0) } }
        return lines.prefix(max(height - 1, 1)).map { cut($0, to: width) }
    }

    private func table(_ width: Int, _ now: BootInstant) -> [Line] {
        let nameWidth = min(max(rows.map { Printable.text($0.name).columns }.max() ?? 0, 8), width / 3)
        let leaders = rows.map { row in row.state.map { Self.leaderText($0) } ?? String(glyphs.more) }
        let leaderWidth = min(max(leaders.map(\.columns).max() ?? 0, 6), max(width / 3, 6))
        let tokens = rows.map { $0.state?.token?.description ?? "-" }
        let tokenWidth = max(tokens.map(\.count).max() ?? 0, 5)
        let hasEpochs = rows.contains { $0.state?.epoch != nil }
        let epochs = rows.map { $0.state?.epoch.map { String($0) } ?? "-" }
        let epochWidth = max(epochs.map(\.count).max() ?? 0, 4)
        let used = nameWidth + leaderWidth + tokenWidth + (hasEpochs ? epochWidth + 2 : 0) + 6
        let barWidth = min(max(width - used - 10, 0), 30)
        var lines: [Line] = [
            [
                Span(
                    padded("ELECTION", nameWidth) + "  " + padded("LEADER", leaderWidth) + "  "
                        + (hasEpochs ? padded("TERM", epochWidth) + "  " : "") + padded("TOKEN", tokenWidth) + "  LEASE", .faint)
            ]
        ]
        for (index, row) in rows.enumerated() {
            let isLed = row.state?.isLed ?? false
            var line: Line = [
                Span(padded(Printable.text(row.name), nameWidth), .strong), Span("  "),
                Span(padded(leaders[index], leaderWidth), row.state == nil ? .faint : isLed ? .good : .warning), Span("  "),
            ]
            if hasEpochs { line += [Span(padded(epochs[index], epochWidth)), Span("  ")] }
            line += [Span(padded(tokens[index], tokenWidth)), Span("  ")]
            line += lease(row, barWidth, now)
            lines.append(line)
        }
        return lines
    }

    /// A bar for the remaining time of a lease, and the time in words. Empty if the system does not show when the lease ends.
    private func lease(_ row: Row, _ width: Int, _ now: BootInstant) -> Line {
        guard let state = row.state, state.isLed, let remaining = state.remaining else { return [] }
        let left = max(remaining - now.duration(since: row.seenAt), .zero)
        let whole = max(state.ttl ?? remaining, .milliseconds(1))
        let part = min(left.seconds / whole.seconds, 1)
        let color: Output.Color = part < 0.2 ? .bad : part < 0.4 ? .warning : .good
        let words = Self.seconds(left)
        guard width >= 5 else { return [Span(words, color)] }
        let full = min(Int((part * Double(width)).rounded(.up)), width)
        return [
            Span(String(repeating: glyphs.full, count: full), color), Span(String(repeating: glyphs.empty, count: width - full), .faint),
            Span(" " + words, color),
        ]
    }

    /// A row for each election that shows who led when: a letter for each leader, a dot for none.
    private func strips(_ width: Int, _ now: BootInstant) -> [Line] {
        guard !letters.isEmpty else { return [] }
        let nameWidth = min(max(rows.map { Printable.text($0.name).columns }.max() ?? 0, 8), width / 3)
        let cells = max(min(width - nameWidth - 2, 60), 1)
        let oldest = rows.compactMap { $0.reigns.first?.since }.min() ?? now
        let span = max(min(now.duration(since: oldest), Self.reach), .seconds(1))
        var lines: [Line] = [[Span("WHO LED, the last \(Self.seconds(span))", .faint)]]
        var shown: Set<String> = []
        for row in rows where !row.reigns.isEmpty {
            var strip = ""
            for cell in 0..<cells {
                let moment = now - span + span * (cell + 1) / cells
                let reign = row.reigns.last { $0.since <= moment }
                if let leader = reign?.leader { shown.insert(leader) }
                strip += reign.map { $0.leader.flatMap { letters[$0] } ?? glyphs.nobody }.map { String($0) } ?? " "
            }
            lines.append([Span(padded(Printable.text(row.name), nameWidth), .strong), Span("  "), Span(strip, .good)])
        }
        let legend = shown.map { (letter: letters[$0] ?? "?", name: $0) }.sorted { ($0.letter, $0.name) < ($1.letter, $1.name) }
        let names = legend.map { "\($0.letter) \(Printable.text($0.name))  " }.joined()
        lines.append([Span(names + "\(glyphs.nobody) nobody", .faint)])
        return lines
    }

    private func line(of one: Past) -> Line {
        switch one {
        case .note(let time, let text): [Span(time + "  ", .faint), Span(Printable.text(text), .faint)]
        case .change(let time, let name, let word, let leader, let token, let isGood):
            [
                Span(time + "  ", .faint), Span(Printable.text(name) + "  ", .strong), Span(word, isGood ? .good : .warning),
                Span((leader.map { "  " + Printable.text($0) } ?? "") + (token.map { "  token \($0)" } ?? "")),
            ]
        }
    }

    private static func leaderText(_ state: ElectionState) -> String {
        switch state.phase {
        case .held: Printable.text(state.leader ?? "somebody")
        case .expired: "nobody (was \(Printable.text(state.leader ?? "?")))"
        case .free: "nobody"
        case .unknown: "not us"
        }
    }

    // MARK: Text

    /// Whole seconds, rounded up: `9s`, `2m5s`.
    private static func seconds(_ duration: Duration) -> String { DurationText.brief(.seconds(saturating: duration.seconds.rounded(.up))) }

    /// Pads a text with spaces to a width, or cuts it to that width with a glyph at the end.
    private func padded(_ text: String, _ width: Int) -> String {
        let columns = text.columns
        if columns <= width { return text + String(repeating: " ", count: width - columns) }
        let kept = text.prefix(columns: max(width - 1, 0))
        return padded(kept + String(glyphs.more), width)
    }

    private func cut(_ line: Line, to width: Int) -> Line {
        var left = width
        var found: Line = []
        for span in line where left > 0 {
            let kept = span.text.prefix(columns: left)
            found.append(Span(kept, span.color))
            left = kept.count == span.text.count ? left - kept.columns : 0
        }
        return found
    }
}

extension String {
    /// The width on a terminal, in columns.
    fileprivate var columns: Int { reduce(0) { $0 + $1.columns } }

    /// The longest prefix of at most this width.
    fileprivate func prefix(columns room: Int) -> String {
        var (left, kept) = (room, "")
        for character in self {
            left -= character.columns
            if left < 0 { break }
            kept.append(character)
        }
        return kept
    }
}
