"""Files that begin as target pixel files do: a header with sector, camera and CCD."""


def write_tpf_header(path, ccd_id):
    cards = [f"{key:<8}= {getattr(ccd_id, key.lower()):20d}" for key in ("SECTOR", "CAMERA", "CCD")]
    text = "".join(card.ljust(80) for card in ["SIMPLE  =                    T", *cards, "END"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.ljust(2880).encode())
