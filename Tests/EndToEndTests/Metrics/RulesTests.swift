import Foundation
import Support
import Testing

@Suite("The rules for alerts", .enabled(if: Promtool.path != nil, "no promtool: Scripts/need test fetches it")) struct RulesTests {
    private static let folder = Page.top.appendingPathComponent("packaging/prometheus").path

    @Test("promtool accepts them, and they fire when they should", arguments: ["check rules qq.rules.yml", "test rules qq.rules.test.yml"])
    func promtool(words: String) async throws {
        try await inSandbox { box in
            let run = try await box.start(
                ["sh", "-c", #"cd "$0" && exec "$@""#, Self.folder, try #require(Promtool.path)]
                    + words.split(separator: " ").map(String.init)
            ).finish(within: .seconds(120))
            #expect(run.code == 0, "\(run.text) \(run.errors)")
        }
    }
}

@Suite("Alerts in the documents") struct AlertDocumentTests {
    @Test("docs/metrics.md has every alert") func alerts() throws {
        let rules = try String(contentsOf: Page.top.appendingPathComponent("packaging/prometheus/qq.rules.yml"), encoding: .utf8)
        let alerts = rules.split(separator: "\n").compactMap { $0.wholeMatch(of: /\s+- alert: (\w+)/)?.1 }.map(String.init)
        let page = try #require(Page.all.first { $0.path == "docs/metrics.md" })
        #expect(alerts.count == 8 && page.table(headed: "alert").map { $0[0].filter { $0 != "`" } } == alerts)
    }

    @Test("rules use only metrics that qq has, with labels that they have") func metrics() throws {
        let rules = try String(contentsOf: Page.top.appendingPathComponent("packaging/prometheus/qq.rules.yml"), encoding: .utf8)
        let page = try #require(Page.all.first { $0.path == "docs/metrics.md" })
        let known = Set(page.table(headed: "name").map { $0[0].filter { $0 != "`" } })
        let used = Set(rules.matches(of: /qq_[a-z_]+/).map { String($0.output).replacing(/_bucket$/, with: "") })
        #expect(!used.isEmpty && used.isSubset(of: known), "\(used.subtracting(known))")
    }
}
