import QQCore
import Testing

@testable import QQNATS

/// A `ClientState` with a simulated clock, whose actions are returned in words.
final class ClientPlay {
    var state: ClientState
    /// Time in milliseconds.
    var now: UInt64 = 1000
    private var requests: UInt64 = 10

    init(_ servers: String..., random: Double = 0, _ change: (inout NATSOptions) -> Void = { _ in }) {
        var options = NATSOptions(servers: servers.map { Self.address($0) })
        change(&options)
        state = ClientState(
            options, inbox: "_I", pool: ServerPool(options.servers) { $0 }, random: { random })
    }

    static func address(_ name: String) -> NATSOptions.Address { .init(host: name, port: 4222) }

    private var instant: BootInstant { BootInstant(nanoseconds: now * 1_000_000) }

    func after(_ milliseconds: UInt64) { now += milliseconds }

    // MARK: Events

    func wake() -> [String] { words(state.wake(at: instant)) }
    func ready(_ change: (inout ServerInfo) -> Void = { _ in }) -> [String] {
        words(state.ready(Self.info(change), at: instant))
    }
    func failed(_ reason: String = "refused", _ kind: NATSError.Kind = .disconnected) -> [String] {
        words(state.connectFailed(NATSError(kind, reason), at: instant))
    }
    func cut(_ reason: String = "reset") -> [String] { words(state.cut(NATSError(.disconnected, reason), at: instant)) }
    func seekAnother() -> [String] { words(state.seekAnotherServer(at: instant)) }
    func timer() -> [String] { words(state.timer(at: instant)) }
    func close() -> [String] { words(state.close()) }
    func receive(_ operation: ServerOperation) -> [String] {
        state.received(at: instant)
        return words(state.operation(operation, at: instant))
    }

    /// The request's ID and the resulting actions.
    func request(_ subject: String, repeatable: Bool = false, local: Bool = false, payload: [UInt8] = []) -> (id: UInt64, actions: [String])
    {
        requests += 1
        let request = ClientState.Request(
            id: requests, subject: subject, headers: NATSHeaders(), payload: payload, isRepeatable: repeatable, isLocal: local)
        return (requests, words(state.request(request, at: instant)))
    }

    func answer(_ id: UInt64, _ headers: NATSHeaders = NATSHeaders(), payload: String = "x") -> [String] {
        receive(
            .message(
                sid: ClientState.inboxSID,
                NATSMessage(subject: "_I." + String(id, radix: 36), headers: headers, payload: Array(payload.utf8))))
    }

    func slow(_ id: UInt64) -> [String] { words(state.requestIsSlow(id, at: instant)) }
    func timedOut(_ id: UInt64) -> [String] { words(state.requestTimedOut(id, at: instant)) }
    func forget(_ id: UInt64) -> [String] { words(state.forget(id, at: instant)) }
    func subscribe(_ sid: UInt64, _ subject: String, queue: String? = nil) -> [String] {
        words(state.subscribe(sid, .init(subject: subject, queue: queue), at: instant))
    }
    func unsubscribe(_ sid: UInt64) -> [String] { words(state.unsubscribe(sid)) }
    func publish(_ subject: String) -> [String] { words(state.publish(NATSMessage(subject: subject))) }

    /// Connects to the first server.
    func connected(_ change: (inout ServerInfo) -> Void = { _ in }) -> ClientPlay {
        _ = wake()
        _ = ready(change)
        return self
    }

    static func info(_ change: (inout ServerInfo) -> Void = { _ in }) -> ServerInfo {
        var info = ServerInfo()
        info.version = "2.12.0"
        change(&info)
        return info
    }

    // MARK: Actions in words

    private func words(_ actions: [ClientState.Action]) -> [String] { actions.map { word($0) } }

    private func word(_ action: ClientState.Action) -> String {
        switch action {
        case .connect(let address): "connect \(address.host)"
        case .send(.publish(let subject, let reply, _, _)): "PUB \(subject) \(reply ?? "")"
        case .send(.subscribe(let subject, let queue, let sid)): "SUB \(subject) \(queue.map { $0 + " " } ?? "")\(sid)"
        case .send(.unsubscribe(let sid, _)): "UNSUB \(sid)"
        case .send(.ping): "PING"
        case .send(.pong): "PONG"
        case .send(.connect): "CONNECT"
        case .disconnect: "disconnect"
        case .complete(let id, .success): "\(id) is answered"
        case .complete(let id, .failure(let error)): "\(id) fails: \(error.kind)\(error.isUncertain ? ", uncertain" : "")"
        case .deliver(let sid, .message): "message for \(sid)"
        case .deliver(let sid, .failed(let error)): "\(sid) ends: \(error.kind)"
        case .deliver(let sid, let delivery): "\(sid) is \(delivery)"
        case .timer(let instant): "timer \(Int64(instant.nanoseconds / 1_000_000) - Int64(now))"
        case .report(.connected(let address, _)): "connected to \(address.host)"
        case .report(.disconnected(let error)): "disconnected: \(error.reason)"
        case .report(.unreachable(let error, let pause)): "unreachable (\(error.kind)), again in \(Int(pause / .milliseconds(1)))"
        case .report(.leaving(let address)): "\(address.host) is leaving"
        case .report(.discovered(let addresses)): "found " + addresses.map(\.host).joined(separator: " ")
        case .report(.complaint(let text)): "complaint: \(text)"
        }
    }
}
