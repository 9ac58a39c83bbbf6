import GRPCCore
import QQCore
import QQNetwork
import Synchronization
import Testing

@testable import QQGRPC
@testable import Support

// One after another: all connections of a process share one thread, and timed tests must not wait for it.
@Suite("Calls to a gRPC server", .serialized) struct EndpointTests {
    @Test("calls are answered over one connection, which is made when it is needed") func answered() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(server.listener.connections == 0)
            for number in 1...20 { #expect(try await endpoint.ask("\(number)") == "\(number)") }
            #expect(server.listener.connections == 1)
            endpoint.close()
            #expect(try await endpoint.ask("again") == "again")
            #expect(server.listener.connections == 2)
            endpoint.close()
        }
    }

    @Test("calls end at their deadline if nothing arrives, from the start or suddenly", arguments: [false, true])
    func deadline(isConnected: Bool) async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            let endpoint = GRPCEndpoint.of(Int(proxy.port))
            if isConnected { #expect(try await endpoint.ask("first") == "first") }
            proxy.silence()
            let began = ContinuousClock.now
            // Long enough for a busy machine to send the call over the connection.
            let timeout = isConnected ? Duration.seconds(5) : .milliseconds(1200)
            let failure = try #require(await endpoint.failure("lost", timeout: timeout))
            let took = ContinuousClock.now - began
            #expect(took >= timeout - .milliseconds(50) && took < .seconds(30), "\(took)")
            #expect(failure.code == .deadlineExceeded && !failure.isAnswer, "\(failure)")
            #expect(failure.reason == "no answer in time")
            #expect(failure.wasSent == isConnected)
            #expect(server.questions == (isConnected ? ["first"] : []))
            // The next call does not wait for the dead connection.
            proxy.pass()
            #expect(try await endpoint.ask("next") == "next")
            endpoint.close()
        }
    }

    @Test("calls end at their deadline if the server receives them and does not answer") func unanswered() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box) { text, context in
                if text == "x" { try await context.neverAnswer() }
                return text
            }
            let endpoint = GRPCEndpoint.of(server.port)
            // Once there is a connection, the call is sent in time.
            #expect(try await endpoint.ask("first") == "first")
            let failure = try #require(await endpoint.failure("x", timeout: .seconds(5)))
            #expect(failure.code == .deadlineExceeded && failure.wasSent && failure.told("cannot x", isChange: true).isUncertain)
            #expect(server.questions == ["first", "x"])
            endpoint.close()
        }
    }

    @Test("calls go over a new connection if the old one was cut before they were sent, repeatable or not") func cutBefore() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            let endpoint = GRPCEndpoint.of(Int(proxy.port))
            for round in 1...4 {
                #expect(try await endpoint.ask("\(round)", isRepeatable: false) == "\(round)")
                proxy.cut(reset: round.isMultiple(of: 2))
                try await waitUntil("it is cut") { proxy.live == 0 }
                // Until the client has noticed it, too, and the library's tasks have.
                for _ in 1...4 { try await NetworkThread.turns() }
            }
            #expect(server.questions == ["1", "2", "3", "4"])
            #expect(proxy.accepted == 4)
            endpoint.close()
        }
    }

    @Test("calls that were sent are not made again, unless they can be carried out twice", arguments: [false, true])
    func cutAfter(isRepeatable: Bool) async throws {
        try await inSandbox { box in
            let isFirst = Mutex(true)
            let server = try await TestServer(in: box) { text, context in
                let waits =
                    text == "change"
                    && isFirst.withLock { first in
                        defer { first = false }
                        return first
                    }
                if waits { try await context.neverAnswer() }
                return text
            }
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(try await endpoint.ask("first") == "first")
            async let answer = endpoint.failure("change", isRepeatable: isRepeatable)
            try await waitUntil("it was received") { server.questions.contains("change") }
            server.listener.cut()
            let failure = await answer
            if isRepeatable {
                #expect(failure == nil)
                #expect(server.questions == ["first", "change", "change"])
            } else {
                #expect(failure?.code == .unavailable && failure?.wasSent == true && failure?.isAnswer == false, "\(failure as Any)")
                #expect(failure?.told("cannot x", isChange: true).isUncertain == true)
                #expect(server.questions == ["first", "change"])
                #expect(try await endpoint.ask("next") == "next")
            }
            endpoint.close()
        }
    }

    @Test("calls are not affected by a server that ends connections again and again") func goAway() async throws {
        try await inSandbox { box in
            // A busy machine can need longer for a call than a connection lives.
            try await withGrowingTime(from: .milliseconds(400)) { age in
                var settings = GRPCServerSettings()
                settings.connectionAge = age
                settings.connectionGrace = .seconds(60)
                let server = try await TestServer(settings, in: box) { text, _ in
                    try await Task.sleep(for: .milliseconds(Int.random(in: 0...200)))
                    return text
                }
                let endpoint = GRPCEndpoint.of(server.port)
                defer { endpoint.close() }
                var texts: [String] = []
                while server.listener.connections < 10 || texts.count < 60 {
                    texts.append("\(texts.count)")
                    do {
                        let answer = try await endpoint.ask(texts.last ?? "", isRepeatable: false)
                        try #require(answer == texts.last && texts.count < 10_000)
                    } catch let failure as GRPCFailure where !failure.wasSent { return false }
                }
                #expect(server.questions == texts)
                return true
            }
        }
    }

    @Test("calls that are cancelled before they begin end, and do not block others") func calledOff() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            proxy.silence()
            let endpoint = GRPCEndpoint.of(Int(proxy.port))
            for _ in 0..<50 {
                let began = ContinuousClock.now
                let failure = try #require(await endpoint.failure("x", timeout: .zero))
                #expect(failure.code == .deadlineExceeded && !failure.wasSent, "\(failure)")
                #expect(ContinuousClock.now - began < .seconds(30))
            }
            proxy.pass()
            #expect(try await endpoint.ask("next") == "next")
            endpoint.close()
        }
    }

    @Test("many calls at a time share a connection") func many() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(try await endpoint.ask("first") == "first")
            let right = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 1...300 { group.addTask { try await endpoint.ask("\(number)", timeout: .seconds(60)) == "\(number)" } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(right == 300)
            #expect(server.listener.connections == 1)
            endpoint.close()
        }
    }

    @Test("calls with too large a request or answer fail, each with an error that says this") func tooLarge() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box) { text, _ in text == "much" ? String(repeating: "y", count: 20_000) : text }
            var settings = GRPCSettings()
            settings.maximumMessage = 10_000
            let endpoint = GRPCEndpoint.of(server.port, settings)
            let answer = try #require(await endpoint.failure("much"))
            #expect(answer.reason == GRPCFailure.tooLarge, "\(answer)")
            let request = try #require(await endpoint.failure(String(repeating: "x", count: 20_000)))
            #expect(request.reason.contains("10000") && request.reason.contains("maximum"), "\(request)")
            #expect(server.questions == ["much"], "too large a request is not sent")
            #expect(try await endpoint.ask(String(repeating: "x", count: 9_000)).utf8.count == 9_000)
            endpoint.close()
        }
    }

    @Test("a request that the server finds too large fails, and the next one succeeds") func tooLargeForServer() async throws {
        try await inSandbox { box in
            var limits = GRPCServerSettings()
            limits.maximumMessage = 10_000
            let server = try await TestServer(limits, in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            #expect(try await endpoint.ask("first") == "first")
            let failure = try #require(await endpoint.failure(String(repeating: "x", count: 20_000), timeout: .seconds(10)))
            #expect(failure.wasSent, "\(failure)")
            #expect(try await endpoint.ask("next") == "next")
            endpoint.close()
        }
    }

    @Test("calls fail immediately if no server listens, and succeed once one does") func refused() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box)
            let endpoint = GRPCEndpoint.of(server.port)
            await server.listener.kill()
            let began = ContinuousClock.now
            let failure = try #require(await endpoint.failure("x"))
            #expect(failure.code == .unavailable && failure.reason == "Connection refused" && !failure.wasSent, "\(failure)")
            #expect(ContinuousClock.now - began < .seconds(30), "it does not wait for the deadline")
            try await server.listener.start()
            #expect(try await endpoint.ask("x") == "x")
            endpoint.close()
        }
    }

    @Test("calls to a host that does not exist fail with a short reason") func noSuchHost() async throws {
        let endpoint = GRPCEndpoint.of(1, host: "no-such-host.invalid")
        let failure = try #require(await endpoint.failure("x", timeout: .seconds(5)))
        #expect([.unavailable, .deadlineExceeded].contains(failure.code) && !failure.wasSent, "\(failure)")
        #expect(failure.reason.utf8.count < 200, "\(failure)")
        endpoint.close()
    }

    @Test("a ping finds an idle connection dead if nothing comes through any more, and another one is made") func keepalive() async throws {
        try await inSandbox { box in
            var limits = GRPCServerSettings()
            limits.clientPings = .milliseconds(50)
            let server = try await TestServer(limits, in: box)
            // A busy machine might not answer a ping within a short time. Then the test is repeated with a longer one.
            for (interval, isLast) in [(Duration.milliseconds(1600), false), (.seconds(6), false), (.seconds(20), true)] {
                let proxy = try Proxy(to: UInt16(server.port), in: box)
                var settings = GRPCSettings()
                // The library starts the wait for an answer again with each ping, so this must be the shorter time.
                settings.keepalive?.interval = interval
                settings.keepalive?.timeout = interval * 0.9
                let endpoint = GRPCEndpoint.of(Int(proxy.port), settings)
                defer { endpoint.close() }
                #expect(try await endpoint.ask("first") == "first")
                // Pings change nothing while they are answered.
                let passed = proxy.passed(.toClient)
                try await waitUntil("pings are answered", within: interval * 4 + waitingTime) { proxy.passed(.toClient) > passed + 17 * 2 }
                if proxy.accepted > 1, !isLast { continue }
                #expect(proxy.accepted == 1)
                proxy.silence()
                try await waitUntil("another connection is made, although no call is made") { proxy.accepted > 1 }
                proxy.pass()
                #expect(try await endpoint.ask("next") == "next")
                return
            }
        }
    }

    @Test("servers are not pinged faster than they tolerate") func pace() {
        #expect(GRPCSettings().keepalive?.interval == .seconds(30) && GRPCSettings().keepalive?.timeout == .seconds(5))
        #expect(GRPCSettings.Keepalive(interval: .seconds(1)).interval == .seconds(10))
        #expect(GRPCSettings.Keepalive(interval: .seconds(60)).interval == .seconds(60))
    }
}
