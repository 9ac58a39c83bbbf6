import GRPCNIOTransportHTTP2Posix
import NIOCore
import Synchronization

/// What a server listens and talks on: it is cut when the server is killed.
final class GRPCChannels: Sendable {
    private struct State {
        var listening: (any Channel)?
        var accepted: [ObjectIdentifier: any Channel] = [:]
        var count = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Connections that were ever accepted.
    var count: Int { state.withLock(\.count) }

    var callbacks: HTTP2ServerTransport.Config.ChannelDebuggingCallbacks {
        .init(
            onBindTCPListener: { channel in
                self.state.withLock { $0.listening = channel }
                return channel.eventLoop.makeSucceededVoidFuture()
            },
            onAcceptTCPConnection: { channel in
                self.accept(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            },
            onAcceptHTTP2Stream: nil)
    }

    private func accept(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let isClosed = state.withLock { state in
            state.count += 1
            if !state.isClosed { state.accepted[id] = channel }
            return state.isClosed
        }
        // It came in between the kill and the end of listening.
        if isClosed { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in self.state.withLock { $0.accepted[id] = nil } }
    }

    /// Ends all connections; new ones are welcome.
    func cut() {
        for channel in state.withLock({ Array($0.accepted.values) }) { channel.close(promise: nil) }
    }

    /// Ends the listening and all connections.
    func close() {
        let listening = state.withLock { state in
            state.isClosed = true
            return state.listening
        }
        listening?.close(promise: nil)
        cut()
    }

    /// Waits until nothing listens and talks any more, so that the port refuses and can be had again.
    func closed() async {
        let (listening, accepted) = state.withLock { ($0.listening, Array($0.accepted.values)) }
        for channel in [listening].compactMap(\.self) + accepted { try? await channel.closeFuture.get() }
    }
}
