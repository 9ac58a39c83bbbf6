import QQCore
import Testing

@testable import QQCLI

@Suite("Session prompt") struct SessionPromptTests {
    private func lease(_ name: String, _ left: Double, of ttl: Int = 15) -> SessionPrompt.Lease {
        .init(name: name, left: .seconds(left), ttl: .seconds(ttl))
    }

    private func text(_ context: String? = nil, _ leases: [SessionPrompt.Lease] = [], columns: Int = 80) -> String {
        SessionPrompt(context: context, system: "nats", leases: leases).pieces(columns: columns).map(\.text).joined(separator: " ") + ">"
    }

    @Test("the prompt names the context, the system and the held leases") func contents() {
        #expect(text() == "nats>")
        #expect(text("prod") == "prod nats>")
        #expect(text("prod", [lease("api", 14.2), lease("web", 11)]) == "prod nats api 15s web 11s>")
    }

    @Test("the prompt marks a late lease by a character as well as a colour") func lateLease() {
        #expect(lease("web", 7.5).text == "web 8s" && lease("web", 7.5).color == .good)
        #expect(lease("web", 7.4).text == "web 8s!" && lease("web", 7.4).color == .warning)
        #expect(lease("web", 3).text == "web 3s!" && lease("web", 3).color == .bad)
        #expect(lease("web", -1).text == "web 0s!")
        #expect(text(nil, [lease("api", 15), lease("web", 2)]) == "nats web 2s! api 15s>")
    }

    @Test("the prompt leaves half of the line for typing") func width() {
        let many = (1...40).map { lease("election-\($0)", $0 == 40 ? 1 : 15) }
        for columns in 1...200 {
            for count in [0, 1, 2, 40] {
                let text = text("prod", Array(many.suffix(count)), columns: columns)
                #expect(text.count + 1 <= max(columns / 2, 2), "\(text)")
            }
        }
        #expect(text("prod", many, columns: 100) == "prod nats election-40 1s! election-1 15s +38>")
        #expect(text("prod", many, columns: 44) == "election-40 1s! +39>")
        #expect(text("prod", many, columns: 40) == "prod 40!>")
        #expect(text("prod", many, columns: 12) == "40!>")
        #expect(text("prod", [lease("web", 15)], columns: 40) == "prod nats web 15s>")
        #expect(text("prod", [lease("web", 15)], columns: 30) == "prod web 15s>")
        #expect(text("prod", [lease("web", 15)], columns: 20) == "web 15s>")
    }

    @Test("the prompt shows control characters as text") func controlCharacters() {
        #expect(lease("we\u{1b}[2Jb", 15).text == "we\\x1b[2Jb 15s")
    }
}
