/// Globally unique tokens for inboxes and names: 22 letters and digits with 131 random bits, as long as the tokens of other NATS clients.
enum NUID {
    static let length = 22

    static func next() -> String {
        var generator = SystemRandomNumberGenerator()
        return next(using: &generator)
    }

    static func next(using generator: inout some RandomNumberGenerator) -> String {
        String(decoding: (0..<length).map { _ in alphabet[Int.random(in: alphabet.indices, using: &generator)] }, as: UTF8.self)
    }

    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
}
