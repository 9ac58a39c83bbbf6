import QQCore
import Testing

@testable import QQQuorumQuest

@Suite("The name of an election on Quorum Quest") struct ElectionNameTests {
    @Test("a name is a service, and a domain that has a default") func parts() throws {
        #expect(try ElectionName("billing").domain == "production")
        let name = try ElectionName("billing/staging")
        #expect(name.service == "billing" && name.domain == "staging")
    }

    @Test(
        "a name is refused if it identifies nothing, or could be another election's",
        arguments: ["", "/", "a/", "/b", "a/b/c", "a:b", "a/b:c", "a\nb", String(repeating: "x", count: 257)])
    func refused(_ name: String) {
        let error = #expect(throws: CoordinationError.self) { try ElectionName(name) }
        #expect(error?.kind == .usage)
    }
}
