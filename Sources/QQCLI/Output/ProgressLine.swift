import QQCore

/// The progress line, which shows what a command waits for and since when: `⠹ web: held by n1, waiting for its turn  12s`. Pure: time in, text out.
struct ProgressLine: Sendable {
    /// The abilities of the terminal.
    struct Style: Sendable, Equatable {
        var isUnicode = true
        var hasColors = false
    }

    /// A shorter wait shows nothing.
    static let patience: Duration = .milliseconds(500)
    /// Interval between redraws.
    static let step: Duration = .milliseconds(100)

    private struct Wait: Sendable {
        var text: String
        var since: BootInstant
    }

    let style: Style
    private var wait: Wait?

    init(_ style: Style = Style()) { self.style = style }

    /// Begins to wait, or changes the text of the current wait, whose time continues to count.
    /// - Parameter anew: whether the time counts from now.
    mutating func wait(for text: String, anew: Bool = false, at now: BootInstant) {
        wait = Wait(text: Printable.text(text), since: anew ? now : wait?.since ?? now)
    }

    /// Ends the wait.
    mutating func end() { wait = nil }

    var isWaiting: Bool { wait != nil }

    /// When to draw next; nil while nothing is waited for.
    func next(after now: BootInstant) -> BootInstant? { wait.map { max($0.since + Self.patience, now + Self.step) } }

    /// The line at `now`, in at most `width` columns; nil if none is shown.
    func text(at now: BootInstant, width: Int) -> String? {
        guard let wait, now >= wait.since + Self.patience else { return nil }
        let waited = now.duration(since: wait.since)
        let frames = style.isUnicode ? Self.dots : Self.bars
        let frame = frames[Int(waited.nanoseconds / Self.step.nanoseconds) % frames.count]
        let time = Self.text(waited)
        // A line in the last column can wrap, and so can the `^C` that the terminal echoes after it.
        let width = width - 3
        let room = width - 2 - 2 - time.count
        guard room >= 4 else { return width >= 2 + time.count ? frame + " " + time : nil }
        return frame + " " + Self.cut(wait.text, to: room, mark: style.isUnicode ? "…" : ".") + "  " + faint(time)
    }

    private func faint(_ text: String) -> String { style.hasColors ? "\u{1b}[2m\(text)\u{1b}[0m" : text }

    private static let dots = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
    private static let bars = ["|", "/", "-", "\\"]

    /// `0.5s`, `12s`, `4m05s`: short, and without a jumping last digit.
    static func text(_ waited: Duration) -> String {
        let isShort = waited < .seconds(10)
        let unit = isShort ? 100_000_000 : 1_000_000_000 as Int64
        let rounded = Duration.nanoseconds(waited.nanoseconds / unit * unit)
        // `1s` among tenths would make the line jump.
        if isShort, rounded.nanoseconds % 1_000_000_000 == 0 { return "\(rounded.nanoseconds / 1_000_000_000).0s" }
        return isShort && rounded < .seconds(1) ? "0.\(rounded.nanoseconds / 100_000_000)s" : DurationText.brief(rounded)
    }

    /// A text cut to `room` columns, with a mark at its end if it was cut.
    static func cut(_ text: String, to room: Int, mark: Character) -> String {
        guard text.reduce(0, { $0 + $1.columns }) > room else { return text }
        var (left, kept) = (room - 1, "")
        for character in text {
            left -= character.columns
            if left < 0 { break }
            kept.append(character)
        }
        return kept + String(mark)
    }
}

extension Character {
    /// The width on a terminal, in columns: two for East Asian characters and most emoji.
    var columns: Int {
        guard let scalar = unicodeScalars.first else { return 0 }
        return Self.wide.contains { $0.contains(scalar.value) } ? 2 : 1
    }

    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6,
        0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff, 0x20000...0x3fffd,
    ]
}
