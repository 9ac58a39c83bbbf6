import QQCore
import Testing

@testable import QQCLI

@Suite("Live view") struct LiveViewTests {
    private let began = BootInstant(nanoseconds: 1_000_000_000_000)

    private func held(
        _ name: String, by leader: String, token: UInt64? = nil, epoch: UInt64? = nil, for remaining: Duration? = nil,
        of ttl: Duration? = nil
    ) -> ElectionState {
        var state = ElectionState(name: name, phase: .held)
        state.leader = leader
        state.token = token.map { FencingToken($0) }
        state.epoch = epoch
        state.remaining = remaining
        state.ttl = ttl
        return state
    }

    private func lines(_ view: LiveView, width: Int = 60, height: Int = 20, after time: Duration = .zero) -> [String] {
        view.frame(width: width, height: height, at: began + time).map { line in
            let text = line.map(\.text).joined()
            return String(text.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// Two elections, one of which has had two leaders.
    private var example: LiveView {
        var view = LiveView(["web", "db"], at: "nats://h1:4222")
        view.update(held("web", by: "n1", token: 7, epoch: 3, for: .seconds(10), of: .seconds(10)), word: nil, time: "21:00:00", at: began)
        view.update(ElectionState(name: "db", phase: .free), word: nil, time: "21:00:00", at: began)
        view.update(ElectionState(name: "web", phase: .free), word: "released", time: "21:00:02", at: began + .seconds(2))
        view.update(
            held("web", by: "n2", token: 9, epoch: 4, for: .seconds(10), of: .seconds(10)), word: "elected", time: "21:00:04",
            at: began + .seconds(4))
        return view
    }

    @Test("the live view has a row for each election, who led when, and the last changes, newest first") func whole() {
        let expected = """
            qq watch  nats://h1:4222  (q leaves)

            ELECTION  LEADER  TERM  TOKEN  LEASE
            web       n2      4     9      ████████░░░░░░░░░░░ 4s
            db        nobody  -     -

            WHO LED, the last 10s
            web       AAAAAAAAA··········BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB
            db        ··················································
            A n1  B n2  · nobody

            21:00:04  web  elected  n2  token 9
            21:00:02  web  released
            """
        #expect(lines(example, after: .seconds(10)).joined(separator: "\n") == expected)
    }

    @Test("the live view has a row and a strip for each slot of a name, of many only for those in use") func slots() {
        func web(_ count: Int, _ leaders: [Int: String]) -> ElectionState {
            ElectionState(
                name: "web",
                slots: (1...count).map { number in
                    leaders[number].map { held("s\(number)", by: $0, token: 7, for: .seconds(10), of: .seconds(10)) }
                        ?? ElectionState(name: "s\(number)", phase: .free)
                })
        }
        var view = LiveView(["web"], at: "here")
        view.update(web(3, [1: "n1"]), word: nil, time: "21:00:00", at: began)
        view.update(web(3, [1: "n1", 3: "n2"]), slot: 3, word: "elected", time: "21:00:05", at: began + .seconds(5))
        let expected = """
            qq watch  here  (q leaves)

            ELECTION  LEADER        TOKEN  LEASE
            web       2 of 3 slots  -
              slot 1  n1            7      ██████████░░░░░░░░░ 5s
              slot 2  nobody        -
              slot 3  n2            7      ██████████░░░░░░░░░ 5s

            WHO LED, the last 10s
            web 1     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
            web 2     ··················································
            web 3     ························BBBBBBBBBBBBBBBBBBBBBBBBBB
            A n1  B n2  · nobody

            21:00:05  web 3  elected  n2  token 7
            """
        #expect(lines(view, after: .seconds(10)).joined(separator: "\n") == expected)
        var many = LiveView(["web"], at: "here")
        many.update(web(50, [40: "n1"]), word: nil, time: "", at: began)
        #expect(lines(many)[3...4].map { $0.prefix(9) } == ["web      ", "  slot 40"])
        #expect(lines(many).contains { $0.hasPrefix("web 40") } && !lines(many).contains { $0.hasPrefix("web 1 ") })
    }

    @Test("the bar of the live view shortens with the lease and turns to a warning and an alarm") func bar() {
        var view = LiveView(["x"], at: "here")
        view.update(held("x", by: "me", for: .seconds(10), of: .seconds(10)), word: nil, time: "", at: began)
        func bar(_ time: Duration) -> (full: Int, color: Output.Color?) {
            let spans = view.frame(width: 80, height: 20, at: began + time)[3]
            let full = spans.first { $0.text.contains("█") }
            return (full?.text.count ?? 0, full?.color)
        }
        #expect(bar(.zero) == (30, .good))
        #expect(bar(.seconds(5)) == (15, .good))
        #expect(bar(.seconds(7)) == (9, .warning))
        #expect(bar(.seconds(9)) == (3, .bad))
        #expect(bar(.seconds(11)).full == 0)
        #expect(lines(view, after: .seconds(11))[3].hasSuffix(" 0s"))
    }

    @Test("the live view shows no bar for a lease without a known end, and marks an election that was not read yet") func unknown() {
        var view = LiveView(["x", "y"], at: "here")
        view.update(held("x", by: "me"), word: nil, time: "", at: began)
        #expect(lines(view)[3] == "x         me      -")
        #expect(lines(view)[4] == "y         …       -")
        var unknown = ElectionState(name: "y", phase: .unknown)
        unknown.remaining = .seconds(3)
        view.update(unknown, word: nil, time: "", at: began)
        #expect(lines(view)[4] == "y         not us  -")
        var expired = ElectionState(name: "y", phase: .expired)
        expired.leader = "n1"
        view.update(expired, word: "expired", time: "", at: began)
        #expect(lines(view)[4] == "y         nobody (was n1)  -")
    }

    @Test("the live view fits every size", arguments: [(1, 1), (8, 3), (20, 5), (20, 10), (37, 12), (60, 8), (80, 24), (250, 60)])
    func fits(width: Int, height: Int) {
        var view = example
        for index in 0..<300 { view.note("something \(index) that is a good deal longer than a narrow terminal is wide", time: "21:00:05") }
        view.notice = "disconnected: nats://h1:4222: Connection refused, and some more to say about it"
        let lines = lines(view, width: width, height: height, after: .seconds(6))
        #expect(lines.count <= max(height - 1, 1))
        for line in lines { #expect(line.count <= max(width, 20)) }
    }

    @Test("a live view without room for both shows the changes rather than the strips") func low() {
        let lines = lines(example, height: 12, after: .seconds(10))
        #expect(!lines.contains { $0.hasPrefix("WHO LED") })
        #expect(lines.contains { $0.contains("elected") })
    }

    @Test("the live view is ASCII if the terminal has no more") func ascii() {
        var view = LiveView(["web"], at: "here", isUnicode: false)
        view.update(held("web", by: "n1", for: .seconds(5), of: .seconds(10)), word: nil, time: "", at: began)
        for line in lines(view, after: .seconds(1)) { #expect(line.unicodeScalars.allSatisfy { $0.isASCII }, "\(line)") }
        #expect(lines(view)[3].contains("###"))
    }

    @Test("names as wide as two columns stay aligned in the live view, and control characters have no effect") func letters() {
        var view = LiveView(["選挙", "web"], at: "here")
        view.update(held("選挙", by: "n1"), word: nil, time: "", at: began)
        view.update(held("web", by: "a\u{1b}[2Jb"), word: nil, time: "", at: began)
        view.note("evil \u{1b}[31m\nsecond line", time: "21:00:00")
        let text = lines(view)
        #expect(text[3].hasPrefix("選挙      n1"))
        #expect(text[4].hasPrefix("web       a\\x1b[2Jb"))
        #expect(text.contains("21:00:00  evil \\x1b[31m"))
        #expect(text.contains("21:00:00  second line"))
        #expect(!text.joined().contains("\u{1b}"))
    }

    @Test("the live view forgets leaders from before the beginning of the strip") func reach() {
        var view = LiveView(["x"], at: "here")
        for minute in 0..<60 {
            view.update(held("x", by: "n\(minute)"), word: "changed", time: "", at: began + .seconds(60 * minute))
        }
        let text = lines(view, width: 120, height: 40, after: .seconds(3600)).joined(separator: "\n")
        #expect(text.contains("the last 10m"))
        // Leaders keep their letters when earlier ones are forgotten.
        #expect(!text.contains("n0 ") && !text.contains("n48 "))
        #expect(text.contains("Y n50  Z n51  "))
    }
}
