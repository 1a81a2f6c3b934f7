//! Arrays in PostgreSQL's binary format: dimensions, then the elements in order, each with its length.

use super::super::cell::Cell;

/// PostgreSQL's own bound.
const DIMENSIONS_MAX: usize = 6;

/// Reads an array; `element` reads what is not null.
pub fn read(bytes: &[u8], element: &dyn Fn(&[u8]) -> Result<Cell, String>) -> Result<Cell, String> {
    let mut at = Reader(bytes);
    let dimensions = usize::try_from(at.integer()?).unwrap_or(usize::MAX);
    let _has_nulls = at.integer()?;
    let _element_oid = at.integer()?;
    if dimensions == 0 {
        return Ok(Cell::List(Vec::new()));
    }
    if dimensions > DIMENSIONS_MAX {
        return Err(Reader::broken());
    }
    let mut lengths = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        lengths.push(usize::try_from(at.integer()?).map_err(|_| Reader::broken())?);
        let _lower_bound = at.integer()?;
    }
    level(&mut at, &lengths, element)
}

fn level(at: &mut Reader, lengths: &[usize], element: &dyn Fn(&[u8]) -> Result<Cell, String>) -> Result<Cell, String> {
    let Some((length, inner)) = lengths.split_first() else {
        let size = at.integer()?;
        // Minus one stands for null.
        return match usize::try_from(size) {
            Ok(size) => element(at.take(size)?),
            Err(_) => Ok(Cell::Null),
        };
    };
    let cells = (0..*length).map(|_| level(at, inner, element)).collect::<Result<Vec<_>, _>>()?;
    Ok(Cell::List(cells))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn broken() -> String {
        "is an array that cannot be read".to_owned()
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(Self::broken)?;
        self.0 = rest;
        Ok(taken)
    }

    fn integer(&mut self) -> Result<i32, String> {
        let bytes = self.take(4)?.try_into().map_err(|_| Self::broken())?;
        Ok(i32::from_be_bytes(bytes))
    }
}

/// Writes lists of equal lengths as an array of elements of the type `oid`; `element` writes what is not null.
pub fn write(list: &[Cell], oid: u32, element: &dyn Fn(&Cell) -> Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
    let lengths = lengths(list)?;
    let mut bytes = Vec::new();
    let mut elements = Vec::new();
    let has_nulls = write_level(list, lengths.len(), &mut elements, element)?;
    let dimensions = if list.is_empty() { 0 } else { lengths.len() };
    bytes.extend(i32::try_from(dimensions).unwrap_or(0).to_be_bytes());
    bytes.extend(i32::from(has_nulls).to_be_bytes());
    bytes.extend(oid.to_be_bytes());
    for length in lengths.iter().take(dimensions) {
        bytes.extend(i32::try_from(*length).map_err(|_| "it is too long".to_owned())?.to_be_bytes());
        bytes.extend(1_i32.to_be_bytes());
    }
    bytes.extend(elements);
    Ok(bytes)
}

fn lengths(list: &[Cell]) -> Result<Vec<usize>, String> {
    let mut lengths = vec![list.len()];
    let mut first = list.first();
    while let Some(Cell::List(inner)) = first {
        lengths.push(inner.len());
        if lengths.len() > DIMENSIONS_MAX {
            return Err(format!("an array has at most {DIMENSIONS_MAX} dimensions"));
        }
        first = inner.first();
    }
    Ok(lengths)
}

fn write_level(
    list: &[Cell],
    depth: usize,
    out: &mut Vec<u8>,
    element: &dyn Fn(&Cell) -> Result<Vec<u8>, String>,
) -> Result<bool, String> {
    let mut has_nulls = false;
    let inner_length = list.iter().find_map(|cell| if let Cell::List(inner) = cell { Some(inner.len()) } else { None });
    for cell in list {
        match cell {
            Cell::List(inner) if depth > 1 && Some(inner.len()) == inner_length => {
                has_nulls |= write_level(inner, depth - 1, out, element)?;
            }
            Cell::List(_) => return Err("the lists inside it have different lengths".to_owned()),
            _ if depth > 1 => return Err("it mixes lists with other values".to_owned()),
            Cell::Null => {
                has_nulls = true;
                out.extend((-1_i32).to_be_bytes());
            }
            value => {
                let bytes = element(value)?;
                out.extend(i32::try_from(bytes.len()).map_err(|_| "it is too long".to_owned())?.to_be_bytes());
                out.extend(bytes);
            }
        }
    }
    Ok(has_nulls)
}
