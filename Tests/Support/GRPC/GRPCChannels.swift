import GRPCNIOTransportHTTP2Posix
import NIOCore
import Synchronization

/// The channels on which a server listens and talks. They are closed when the server is killed.
final class GRPCChannels: Sendable {
    private struct State {
        var listening: (any Channel)?
        var accepted: [ObjectIdentifier: any Channel] = [:]
        var count = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Number of connections that were ever accepted.
    var count: Int { state.withLock { $0.count } }

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
        // The connection arrived between the kill and the end of listening.
        if isClosed { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in self.state.withLock { $0.accepted[id] = nil } }
    }

    /// Closes all connections. New ones are accepted.
    func cut() {
        for channel in state.withLock({ Array($0.accepted.values) }) { channel.close(promise: nil) }
    }

    /// Stops listening and closes all connections.
    func close() {
        let listening = state.withLock { state in
            state.isClosed = true
            return state.listening
        }
        listening?.close(promise: nil)
        cut()
    }

    /// Waits until all channels are closed, so that the port refuses connections and can be bound again.
    func closed() async {
        let (listening, accepted) = state.withLock { ($0.listening, Array($0.accepted.values)) }
        for channel in [listening].compactMap(\.self) + accepted { try? await channel.closeFuture.get() }
    }
}
