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

    /// An election, or a slot of a name, and who led it.
    private struct Seat: Sendable {
        var state: ElectionState
        var reigns: [Reign] = []

        /// Notes the leader from `now` on, and forgets the leaders before the start of the strip.
        mutating func lead(_ leader: String?, since now: BootInstant) {
            if reigns.last.map({ $0.leader != leader }) ?? true { reigns.append(Reign(leader: leader, since: now)) }
            while reigns.count > 1, reigns[1].since < now - LiveView.reach { reigns.removeFirst() }
        }
    }

    private struct Row: Sendable {
        let name: String
        var state: ElectionState?
        var seenAt: BootInstant = .distantFuture
        /// One, or one for each slot; empty before the first read.
        var seats: [Seat] = []

        /// The slots that have lines of their own, with their numbers: of many only those that are in use.
        func slots(_ isUsed: (Seat) -> Bool) -> [(number: Int, seat: Seat)] {
            guard state?.slots.isEmpty == false else { return [] }
            return seats.enumerated().map { ($0.offset + 1, $0.element) }.filter { seats.count <= LiveView.mostSlots || isUsed($0.1) }
        }
    }

    /// The most slots of a name of which free ones have a line, too.
    private static let mostSlots = 8

    /// An entry of the list of changes.
    private enum Past: Sendable {
        case change(time: String, name: String, word: String, slot: Int?, leader: String?, token: FencingToken?, isGood: Bool)
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
    ///   - slot: the slot that has changed, from 1 on; nil if the name has no slots, and at first.
    ///   - word: the name of the change; nil for the first state and for a renewal, which are not listed as changes.
    ///   - time: the time of day, as text to show.
    mutating func update(_ state: ElectionState, slot: Int? = nil, word: String?, time: String, at now: BootInstant) {
        guard let index = rows.firstIndex(where: { $0.name == state.name }) else { return }
        rows[index].state = state
        rows[index].seenAt = now
        let states = state.slots.isEmpty ? [state] : state.slots
        if rows[index].seats.count != states.count { rows[index].seats = states.map { Seat(state: $0) } }
        for (seat, state) in states.enumerated() {
            rows[index].seats[seat].state = state
            let leader = state.isLed ? state.leader : nil
            rows[index].seats[seat].lead(leader, since: now)
            if let leader, letters[leader] == nil { give(leader) }
        }
        guard let word else { return }
        let changed = slot.flatMap { states.indices.contains($0 - 1) ? states[$0 - 1] : nil } ?? state
        keep(
            .change(
                time: time, name: state.name, word: word, slot: slot, leader: changed.isLed ? changed.leader : nil, token: changed.token,
                isGood: changed.isLed))
    }

    private mutating func give(_ leader: String) {
        // A view can be open for months. Forget the leaders that the strips no longer show.
        if letters.count >= Self.kept {
            let shown = Set(rows.flatMap(\.seats).flatMap(\.reigns).compactMap(\.leader))
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

    /// A line of the table.
    private struct TableLine {
        let label: String
        let isName: Bool
        let state: ElectionState?
        let seenAt: BootInstant
    }

    private var tableLines: [TableLine] {
        rows.flatMap { row in
            [TableLine(label: Printable.text(row.name), isName: true, state: row.state, seenAt: row.seenAt)]
                + row.slots { $0.state.phase != .free }.map { number, seat in
                    TableLine(label: "  slot \(number)", isName: false, state: seat.state, seenAt: row.seenAt)
                }
        }
    }

    private func table(_ width: Int, _ now: BootInstant) -> [Line] {
        let rows = tableLines
        let nameWidth = min(max(rows.map(\.label.columns).max() ?? 0, 8), width / 3)
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
                Span(padded(row.label, nameWidth), row.isName ? .strong : nil), Span("  "),
                Span(padded(leaders[index], leaderWidth), row.state == nil ? .faint : isLed ? .good : .warning), Span("  "),
            ]
            if hasEpochs { line += [Span(padded(epochs[index], epochWidth)), Span("  ")] }
            line += [Span(padded(tokens[index], tokenWidth)), Span("  ")]
            line += lease(row, barWidth, now)
            lines.append(line)
        }
        return lines
    }

    /// A bar for the remaining time of a lease, and the time in words. Empty if the system does not show when the lease ends, and beside slots, which have their
    /// own.
    private func lease(_ row: TableLine, _ width: Int, _ now: BootInstant) -> Line {
        guard let state = row.state, state.isLed, state.slots.isEmpty, let remaining = state.remaining else { return [] }
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

    /// A row for each election and slot that shows who led when: a letter for each leader, a dot for none.
    private func strips(_ width: Int, _ now: BootInstant) -> [Line] {
        guard !letters.isEmpty else { return [] }
        let seats = rows.flatMap { row -> [(label: String, reigns: [Reign])] in
            let name = Printable.text(row.name)
            if let seat = row.seats.first, row.state?.slots.isEmpty == true { return [(name, seat.reigns)] }
            let used = row.slots { seat in seat.reigns.contains { $0.leader != nil } }
            return used.map { ("\(name) \($0.number)", $0.seat.reigns) }
        }
        let nameWidth = min(max(seats.map(\.label.columns).max() ?? 0, 8), width / 3)
        let cells = max(min(width - nameWidth - 2, 60), 1)
        let oldest = seats.compactMap { $0.reigns.first?.since }.min() ?? now
        let span = max(min(now.duration(since: oldest), Self.reach), .seconds(1))
        var lines: [Line] = [[Span("WHO LED, the last \(Self.seconds(span))", .faint)]]
        var shown: Set<String> = []
        for seat in seats {
            var strip = ""
            for cell in 0..<cells {
                let moment = now - span + span * (cell + 1) / cells
                let reign = seat.reigns.last { $0.since <= moment }
                if let leader = reign?.leader { shown.insert(leader) }
                strip += reign.map { $0.leader.flatMap { letters[$0] } ?? glyphs.nobody }.map { String($0) } ?? " "
            }
            lines.append([Span(padded(seat.label, nameWidth), .strong), Span("  "), Span(strip, .good)])
        }
        let legend = shown.map { (letter: letters[$0] ?? "?", name: $0) }.sorted { ($0.letter, $0.name) < ($1.letter, $1.name) }
        let names = legend.map { "\($0.letter) \(Printable.text($0.name))  " }.joined()
        lines.append([Span(names + "\(glyphs.nobody) nobody", .faint)])
        return lines
    }

    private func line(of one: Past) -> Line {
        switch one {
        case .note(let time, let text): [Span(time + "  ", .faint), Span(Printable.text(text), .faint)]
        case .change(let time, let name, let word, let slot, let leader, let token, let isGood):
            [
                Span(time + "  ", .faint), Span(Printable.text(name) + (slot.map { " \($0)" } ?? "") + "  ", .strong),
                Span(word, isGood ? .good : .warning),
                Span((leader.map { "  " + Printable.text($0) } ?? "") + (token.map { "  token \($0)" } ?? "")),
            ]
        }
    }

    private static func leaderText(_ state: ElectionState) -> String {
        switch state.phase {
        case .unknown: "not us"
        case _ where !state.slots.isEmpty: SlotText.held(state)
        case .held: Printable.text((state.leader ?? "somebody") + Rendering.noteInBrackets(state))
        case .expired: "nobody (was \(Printable.text(state.leader ?? "?")))"
        case .free: "nobody"
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
