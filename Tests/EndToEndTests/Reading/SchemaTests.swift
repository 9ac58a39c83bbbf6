import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// Compares the output of `--json` with the declaration that qq-json(5) is made from.
@Suite("JSON output")
struct SchemaTests {
    @Test("acquire and release print documented JSON for success and failure")
    func acquire() async throws {
        try await inSandbox { box in
            try checkSchema(try await box.run("acquire", "x", "--json").text, Schemas.acquire)
            try checkSchema(try await box.run("acquire", "x", "--json", "--id", "other").text, Schemas.acquire)
            try checkSchema(try await box.run("acquire", "x", "--json", "--id", "other", "--wait=50ms").text, Schemas.acquire)
            try checkSchema(try await box.run("release", "x", "--json").text, Schemas.release)
            try checkSchema(try await box.run("release", "x", "--json").text, Schemas.release)
            try ForeignWriterTests.write(ForeignWriterTests.goRecord("go"), to: box.leaseFile("go"))
            try checkSchema(try await box.run("acquire", "go", "--json").text, Schemas.acquire)
        }
    }

    @Test("keepalive prints documented JSON for waiting, election, loss and release")
    func keepalive() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let run = try box.qq("keepalive", "x", "--ttl", "15s", "--renew-every", "300ms", "--json")
            try await waitUntil("keepalive waits") { run.output.contains("waiting") }
            try await holder.terminate()
            try await waitUntil("keepalive leads") { run.output.contains("renewed") }
            try ForeignWriterTests.write("", to: box.leaseFile("x"))
            try await waitUntil("keepalive has lost the lease") { run.output.contains("lost") }
            try await waitUntil("keepalive leads again") { run.output.split(separator: "\n").count { $0.contains("\"elected\"") } == 2 }
            try await run.terminate()
            try checkSchema(run.output, Schemas.keepalive, lines: run.output.split(separator: "\n").count)
            _ = try await box.run("acquire", "x")
            try checkSchema(try await box.run("keepalive", "x", "--once", "--json").text, Schemas.keepalive)
        }
    }

    @Test("status prints documented JSON for leases of every state, alone and in a list")
    func status() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "held")
            _ = try await box.run("acquire", "expired", "--ttl", "100ms")
            let holder = try await box.hold("guarded")
            try ForeignWriterTests.write(ForeignWriterTests.goRecord("go"), to: box.leaseFile("go"))
            for name in ["held", "expired", "guarded", "go", "free"] {
                try checkSchema(try await box.run("status", name, "--json").text, Schemas.status)
            }
            try ForeignWriterTests.write("broken", to: box.leaseFile("broken"))
            let list = try await box.run("status", "--all", "--json")
            #expect(list.ending == .exited(65))
            let answer = try object(list.text)
            #expect(answer.members.map(\.name).sorted() == ["elections", "server", "system"])
            let elections = try #require(answer["elections"]?.arrayValue)
            #expect(elections.count == 5)
            for election in elections { #expect(schemaProblems(try #require(election.objectValue), Schemas.status).isEmpty) }
            try await holder.terminate()
        }
    }

    @Test("watch prints documented JSON")
    func watch() async throws {
        try await inSandbox { box in
            let run = try box.qq("watch", "x", "y", "--json", "--until", "led")
            for name in ["x", "y"] { _ = try await box.run("acquire", name) }
            #expect(try await run.finish().ending == .exited(0))
            try checkSchema(run.output, Schemas.watch, lines: run.output.split(separator: "\n").count)
        }
    }

    @Test("step-down prints documented JSON")
    func stepDown() async throws {
        try await inSandbox { box in
            try checkSchema(try await box.run("step-down", "x", "--json").text, Schemas.stepDown)
            _ = try await box.run("acquire", "x")
            try checkSchema(try await box.run("step-down", "x", "--json").text, Schemas.stepDown)
        }
    }

    @Test("cluster-status prints documented JSON for an existing and a missing folder")
    func clusterStatus() async throws {
        try await inSandbox { box in
            for server in [box.server, "file://\(box.path("nowhere"))"] {
                let answer = try object(try await box.run("-s", server, "cluster-status", "--json").text)
                #expect(schemaProblems(answer, Schemas.clusterStatus).isEmpty)
                for endpoint in try #require(answer["endpoints"]?.arrayValue) {
                    #expect(schemaProblems(try #require(endpoint.objectValue), Schemas.endpoint).isEmpty)
                }
            }
        }
    }
}
