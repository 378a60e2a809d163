//! Solve systems of linear equations by elimination with partial pivoting.

use std::fmt;

#[derive(Debug, PartialEq)]
enum SolveError {
    Shape,
    Singular { column: usize },
}

impl fmt::Display for SolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SolveError::Shape => write!(f, "the matrix is not square, or the sizes differ"),
            SolveError::Singular { column } => write!(f, "no usable pivot in column {column}"),
        }
    }
}

/// Consumes copies of the inputs, because elimination destroys them.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Result<Vec<f64>, SolveError> {
    let n = b.len();
    if a.len() != n || a.iter().any(|row| row.len() != n) {
        return Err(SolveError::Shape);
    }

    for col in 0..n {
        // Choosing the largest available pivot keeps rounding errors small.
        let pivot = (col..n)
            .max_by(|&i, &j| a[i][col].abs().total_cmp(&a[j][col].abs()))
            .expect("the range is never empty");
        if a[pivot][col].abs() < 1e-12 {
            return Err(SolveError::Singular { column: col });
        }
        a.swap(col, pivot);
        b.swap(col, pivot);

        let (upper, lower) = a.split_at_mut(col + 1);
        let source = &upper[col];
        for (offset, row) in lower.iter_mut().enumerate() {
            let factor = row[col] / source[col];
            for k in col..n {
                row[k] -= factor * source[k];
            }
            b[col + 1 + offset] -= factor * b[col];
        }
    }

    // The matrix is upper triangular now; unknowns follow from the last up.
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[i][k] * x[k]).sum();
        x[i] = (b[i] - known) / a[i][i];
    }
    Ok(x)
}

fn main() {
    // Loaves, cheeses and jars of honey on three receipts, then the totals paid.
    let receipts = vec![vec![0.0, 2.0, 1.0], vec![3.0, 0.0, 2.0], vec![1.0, 1.0, 1.0]];
    match solve(receipts, vec![16.0, 15.5, 12.5]) {
        Ok(prices) => println!("loaf, cheese, honey: {prices:.2?}"),
        Err(reason) => println!("cannot solve: {reason}"),
    }
    let parallel = vec![vec![1.0, 2.0], vec![2.0, 4.0]];
    println!("{}", solve(parallel, vec![1.0, 3.0]).unwrap_err());
}
