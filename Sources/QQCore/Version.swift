/// The version of `qq`. No other source states it; CHANGELOG.md and the documents that name it are tested against this value.
public let version = "0.1.0"
