import QQLoop
import Testing

@testable import QQCLI

@Suite("Metrics of a command and of a session") struct SessionMetricsTests {
    private func setup(_ line: String, of session: Metrics? = nil) throws -> Setup {
        try Setup(try invocation(line), loop: try MainLoop(), metrics: session)
    }

    @Test("without a reader of metrics nothing is counted") func none() throws {
        let plain = try setup("acquire x -s file:///nowhere")
        #expect(plain.metrics == nil && plain.metricsFile == nil && !(plain.coordinator is CountingCoordinator))
    }

    @Test(
        "requests are counted on every system",
        arguments: ["file:///nowhere", "nats://a", "raftlock://a", "qq://a", "etcd://a", "consul://a"])
    func counted(url: String) throws {
        let counting = try setup("acquire x -s \(url) --metrics-file /nowhere/qq.prom")
        #expect(counting.metrics != nil && counting.coordinator is CountingCoordinator)
        #expect(counting.metrics?.prometheus().contains("qq_redirects_total{") == (url == "raftlock://a"))
    }

    @Test("commands of a session share its metrics; one with a file of its own has its own") func shared() throws {
        let session = Metrics(clock: StillClock())
        let line = try setup("acquire x -s file:///nowhere", of: session)
        #expect(line.metrics === session && line.metricsFile == nil)
        let own = try setup("acquire x -s file:///nowhere --metrics-file /nowhere/qq.prom", of: session)
        #expect(own.metrics !== session && own.metricsFile != nil)
    }

    @Test("a session keeps the flag for its file to itself: each of its commands would replace the file") func flag() throws {
        let session = Session(
            try invocation("repl -s file:///nowhere --metrics-file /nowhere/qq.prom"), loop: try MainLoop(), isInteractive: true)
        #expect(session.filled(try invocation("acquire x"))[Flags.metricsFile] == nil)
        #expect(session.filled(try invocation("acquire x --metrics-file other"))[Flags.metricsFile] == "other")
    }
}
