import QQCore
import Testing

@testable import QQNATS

@Suite("The handshake with a NATS server") struct HandshakeTests {
    private static func options(_ change: (inout NATSOptions.TLS) -> Void = { _ in }) -> NATSOptions {
        var options = NATSOptions(servers: [.init(host: "a")])
        change(&options.tls)
        return options
    }

    private static func info(_ change: (inout ServerInfo) -> Void = { _ in }) -> Handshake.Event {
        .operation(.info(ClientPlay.info(change)))
    }

    /// The actions in words.
    private func words(_ actions: [Handshake.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .startTLS: "TLS"
            case .send(.connect(let options)): options.tlsRequired ? "CONNECT over TLS" : "CONNECT"
            case .send(.ping): "PING"
            case .send(.pong): "PONG"
            case .send(let operation): "\(operation)"
            case .ready(let info): "ready \(info.serverName)"
            }
        }
    }

    private func run(_ handshake: inout Handshake, _ events: Handshake.Event...) throws(NATSError) -> [String] {
        var found: [String] = []
        for event in events { found += words(try handshake.handle(event)) }
        return found
    }

    @Test("a handshake in plain text waits for INFO, logs in, and ends with the PONG") func plain() throws {
        var handshake = Handshake(Self.options())
        #expect(try run(&handshake, .connected) == [])
        #expect(try run(&handshake, Self.info { $0.serverName = "n1" }) == ["CONNECT", "PING"])
        #expect(try run(&handshake, .operation(.ok), .operation(.ping)) == ["PONG"])
        #expect(try run(&handshake, .operation(.pong)) == ["ready n1"])
    }

    @Test("the last INFO before the PONG counts") func secondInfo() throws {
        var handshake = Handshake(Self.options())
        _ = try run(&handshake, .connected, Self.info { $0.serverName = "old" })
        #expect(try run(&handshake, Self.info { $0.serverName = "new" }, .operation(.pong)) == ["ready new"])
    }

    @Test("a handshake changes to TLS if the server requires it, or if the client requires and the server offers it") func upgrade() throws
    {
        for isClientsWish in [false, true] {
            var handshake = Handshake(Self.options { $0.isRequired = isClientsWish })
            #expect(
                try run(
                    &handshake, .connected,
                    Self.info {
                        $0.tlsRequired = !isClientsWish
                        $0.tlsAvailable = isClientsWish
                    }) == ["TLS"])
            #expect(try run(&handshake, .secured) == ["CONNECT over TLS", "PING"])
            #expect(try run(&handshake, .operation(.pong)) == ["ready "])
        }
    }

    @Test("a handshake with --tls-first begins with TLS and receives INFO inside") func handshakeFirst() throws {
        var handshake = Handshake(Self.options { $0.handshakeFirst = true })
        #expect(try run(&handshake, .connected) == ["TLS"])
        #expect(try run(&handshake, .secured) == [])
        #expect(try run(&handshake, Self.info { $0.tlsRequired = true }) == ["CONNECT over TLS", "PING"])
    }

    @Test("a handshake fails if the client requires TLS and the server does not offer it") func noTLS() throws {
        var handshake = Handshake(Self.options { $0.isRequired = true })
        _ = try handshake.handle(.connected)
        let error = #expect(throws: NATSError.self) { try handshake.handle(Self.info()) }
        #expect(error?.kind == .configuration)
    }

    @Test("a handshake accepts only INFO first, and no operation between INFO and TLS")
    func outOfTurn() throws {
        let wrong: [ServerOperation] = [.ping, .pong, .ok, .message(sid: 1, NATSMessage(subject: "s"))]
        for operation in wrong {
            var fresh = Handshake(Self.options())
            _ = try fresh.handle(.connected)
            #expect(throws: NATSError(.malformed, "the server sent data out of turn")) { try fresh.handle(.operation(operation)) }
        }
        for operation in wrong + [.info(ServerInfo())] {
            var securing = Handshake(Self.options())
            _ = try securing.handle(.connected)
            _ = try securing.handle(Self.info { $0.tlsRequired = true })
            #expect(throws: NATSError(.malformed, "the server sent data out of turn")) { try securing.handle(.operation(operation)) }
        }
        var loggingIn = Handshake(Self.options())
        _ = try loggingIn.handle(.connected)
        _ = try loggingIn.handle(Self.info())
        #expect(throws: NATSError(.malformed, "the server sent data out of turn")) {
            try loggingIn.handle(.operation(.message(sid: 1, NATSMessage(subject: "s"))))
        }
    }

    @Test("a complaint of the server ends the handshake at any point") func refused() throws {
        var first = Handshake(Self.options())
        _ = try first.handle(.connected)
        #expect(throws: NATSError(.disconnected, "the server says: maximum connections exceeded")) {
            try first.handle(.operation(.error("maximum connections exceeded")))
        }
        var later = Handshake(Self.options())
        _ = try later.handle(.connected)
        _ = try later.handle(Self.info())
        let error = #expect(throws: NATSError.self) { try later.handle(.operation(.error("Authorization Violation"))) }
        #expect(error?.kind == .denied)
    }

    @Test("a handshake with an NKey fails if the server sends no nonce") func noNonce() throws {
        var options = Self.options()
        options.credentials = .nkey(seedFile: "/nowhere/seed")
        var handshake = Handshake(options)
        _ = try handshake.handle(.connected)
        let error = #expect(throws: NATSError.self) { try handshake.handle(Self.info()) }
        #expect(error?.kind == .configuration)
    }
}
